//! The flows for the tests of writes, for the crate and for conntrack(8).

use std::net::SocketAddr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, NewFlow, Tuple};

/// No flow may end during a test.
pub const HOUR: Duration = Duration::from_secs(3600);

pub const SRC: &str = "10.1.0.1:4000";
pub const DST: &str = "10.2.0.1:443";
/// The key of [`tcp`].
pub const TCP: &str = "-p tcp -s 10.1.0.1 -d 10.2.0.1 --sport 4000 --dport 443";
/// The key of [`udp`].
pub const UDP: &str = "-p udp -s 10.1.0.1 -d 10.2.0.1 --sport 4000 --dport 443";

pub fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

pub fn tcp() -> Tuple {
    tcp_between(SRC, DST)
}

pub fn udp() -> Tuple {
    udp_between(SRC, DST)
}

pub fn tcp_between(src: &str, dst: &str) -> Tuple {
    Tuple::tcp(at(src), at(dst)).expect("one family")
}

pub fn udp_between(src: &str, dst: &str) -> Tuple {
    Tuple::udp(at(src), at(dst)).expect("one family")
}

pub fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

pub async fn create(handle: &ConntrackHandle, flow: NewFlow) {
    handle.create(flow).await.expect("to create a flow");
}
