//! Real flows, and their entries in the table.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Flow, FlowKey, IcmpEcho, Tuple};
use tokio::time::{sleep, timeout};

use super::patience;
use super::traffic::{self, TcpPair, UdpPair};

/// Waits until the flow is in the table, and panics if it never is.
pub async fn visible(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> Flow {
    visible_when(handle, key, |_| true).await
}

/// Waits until the flow is in the table and `holds` is true for it.
pub async fn visible_when(
    handle: &ConntrackHandle,
    key: impl Into<FlowKey>,
    mut holds: impl FnMut(&Flow) -> bool,
) -> Flow {
    let key = key.into();
    let mut last = None;
    let look = async {
        loop {
            last = handle.get(key).await.expect("an answer");
            if let Some(flow) = last.take_if(|flow| holds(flow)) {
                return flow;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = timeout(patience::answer(), look).await;
    seen.unwrap_or_else(|_| panic!("{key:?} is not as it should be, but {last:?}"))
}

/// A TCP connection to `server` (port 0: any), and its flow.
pub async fn tcp(handle: &ConntrackHandle, server: SocketAddr) -> io::Result<(TcpPair, Flow)> {
    let pair = TcpPair::connect(server).await?;
    let tuple = Tuple::tcp(pair.source, pair.destination).expect("one family");
    Ok((pair, visible(handle, tuple).await))
}

/// A UDP datagram to `server` (port 0: any), the answer, and their flow.
pub async fn udp(handle: &ConntrackHandle, server: SocketAddr) -> io::Result<(UdpPair, Flow)> {
    let mut pair = UdpPair::new(server)?;
    pair.send()?;
    pair.reply()?;
    let tuple = Tuple::udp(pair.source, pair.destination).expect("one family");
    Ok((pair, visible(handle, tuple).await))
}

/// An echo request, its reply, and their flow.
pub async fn ping(handle: &ConntrackHandle, from: IpAddr, to: IpAddr, id: u16) -> io::Result<Flow> {
    traffic::ping(from, to, id)?;
    let tuple = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => Tuple::icmp(from, to, IcmpEcho::request(id)),
        (IpAddr::V6(from), IpAddr::V6(to)) => Tuple::icmpv6(from, to, IcmpEcho::request_v6(id)),
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok(visible(handle, tuple.expect("a query")).await)
}
