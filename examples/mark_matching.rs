//! Marks the TCP flows to a port, in the bits of a mask, and reports its progress.
//!
//! `cargo run --example mark_matching -- MARK[/MASK] [PORT]`, with `CAP_NET_ADMIN`; numbers are
//! decimal, or hexadecimal after 0x.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::error::Error;
use std::num::ParseIntError;
use std::ops::ControlFlow;

use ctnetlink::{Filter, Masked, Patch};

const TCP: u8 = 6;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mark = arguments.next();
    let mark = parse_mark(&mark.ok_or("usage: mark_matching MARK[/MASK] [PORT]")?)?;
    let mut filter = Filter::builder().protocol(TCP);
    if let Some(port) = arguments.next() {
        filter = filter.orig_dst_port(port.parse::<u16>()?);
    }

    let handle = ctnetlink::connect().await?;
    let patch = Patch::new().mark(mark);
    let mut told = 0;
    let report = handle
        .update_matching(filter.build()?, patch)
        .on_progress(move |report| {
            if report.done() >= told + 100_000 {
                told = report.done();
                println!("{report}");
            }
            ControlFlow::Continue(())
        })
        .await?;
    println!("marked: {}", report.applied);
    println!("ended by themselves meanwhile: {}", report.gone);
    report.into_result()?;
    Ok(())
}

fn parse_mark(text: &str) -> Result<Masked<u32>, ParseIntError> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match text.split_once('/') {
        Some((value, mask)) => Ok(Masked::new(number(value)?, number(mask)?)),
        None => number(text).map(Masked::from),
    }
}
