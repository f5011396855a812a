//! Shows what is missing on this machine, and the cure: why is the table empty, why are there no
//! counters, why can labels not be set, why are there no events?
//!
//! `cargo run --example doctor`, as root. It changes nothing. The exit code is 1 if nothing works.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::process::ExitCode;

use ctnetlink::Severity;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ctnetlink::Result<ExitCode> {
    let handle = ctnetlink::connect().await?;
    let preflight = handle.preflight().await?;
    println!("{preflight}");
    Ok(match preflight.severity() {
        Severity::Error => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}
