//! Differences between kernel releases that tests depend on.

use std::path::Path;

use nix::sys::utsname::uname;

/// Of the running kernel: 6.18 is `(6, 18)`.
pub fn release() -> (u32, u32) {
    let name = uname().expect("uname");
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    number().zip(number()).expect("two numbers")
}

/// Is the timeout of a flow with `IPS_FIXED_TIMEOUT` for requests to change? Before, it was fixed for
/// packets alone.
pub fn refuses_fixed_timeouts() -> bool {
    release() >= (6, 0)
}

/// Does the kernel know the ports of UDP-Lite?
pub fn tracks_udplite() -> bool {
    release() < (7, 3)
}

/// Can the helper of a flow be taken away?
pub fn takes_helpers_away() -> bool {
    release() < (7, 3)
}

/// Is there the value 2 of `nf_conntrack_events`, which is also the default where there is?
pub fn has_events_for_listeners() -> bool {
    release() >= (5, 19)
}

/// Does the kernel answer SCTP itself? Where its module is loaded.
pub fn answers_sctp() -> bool {
    Path::new("/proc/net/sctp").exists()
}
