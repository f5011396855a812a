//! Differences between kernel releases that tests depend on.

use std::path::Path;

use nix::sys::utsname::uname;

/// The release of the running kernel: `(6, 18)` for 6.18.
pub fn release() -> (u32, u32) {
    let name = uname().expect("uname");
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    number().zip(number()).expect("two numbers")
}

/// Can a request change the timeout of a flow with `IPS_FIXED_TIMEOUT`? Old kernels fix it only for
/// packets.
pub fn refuses_fixed_timeouts() -> bool {
    release() >= (6, 0)
}

/// Does the kernel know the ports of UDP-Lite?
pub fn tracks_udplite() -> bool {
    release() < (7, 3)
}

/// Can the helper of a flow be removed?
pub fn takes_helpers_away() -> bool {
    release() < (7, 3)
}

/// Does `nf_conntrack_events` have the value 2? Where it does, 2 is the default.
pub fn has_events_for_listeners() -> bool {
    release() >= (5, 19)
}

/// Does the kernel itself answer SCTP? It does if its module is loaded.
pub fn answers_sctp() -> bool {
    Path::new("/proc/net/sctp").exists()
}
