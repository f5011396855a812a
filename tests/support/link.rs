//! Links and addresses of this thread's network namespace, through rtnetlink: ip(8) is not needed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use futures::TryStreamExt;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage, State};
use rtnetlink::{Error, Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

/// Adds an address to a link. An IPv6 address is usable at once (no duplicate address detection).
pub async fn add_address(link: &str, addr: IpAddr, prefix: u8) {
    with_handle(&format!("add {addr}/{prefix} to {link}"), async |handle| {
        let index = find(handle, link).await?.header.index;
        let mut request = handle.address().add(index, addr, prefix);
        if addr.is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        request.execute().await?;
        if let IpAddr::V6(addr) = addr {
            while !is_local(addr) {
                pause().await;
            }
        }
        Ok(())
    })
    .await
}

/// Sets a link up.
pub async fn set_up(link: &str) {
    with_handle(&format!("set {link} up"), async |handle| {
        handle
            .link()
            .set(LinkUnspec::new_with_name(link).up().build())
            .execute()
            .await
    })
    .await
}

/// Waits until a link can carry packets.
pub async fn running(link: &str) {
    with_handle(&format!("wait for {link}"), async |handle| {
        let up =
            |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::OperState(State::Up));
        while !find(handle, link).await?.attributes.iter().any(up) {
            pause().await;
        }
        Ok(())
    })
    .await
}

/// Adds a veth pair: `near` here, `far` in the network namespace `namespace`.
pub async fn add_veth(near: &str, far: &str, namespace: BorrowedFd<'_>) {
    with_handle(
        &format!("add the veth pair {near}, {far}"),
        async |handle| {
            let far = LinkMessageBuilder::<LinkUnspec>::new()
                .name(far)
                .setns_by_fd(namespace.as_raw_fd())
                .build();
            let pair = LinkVeth::new(near, "")
                .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
                .build();
            handle.link().add(pair).execute().await
        },
    )
    .await
}

/// Adds a default route to this host.
pub async fn add_gateway(gateway: IpAddr) {
    let IpAddr::V4(gateway) = gateway else {
        panic!("{gateway} is not of IPv4");
    };
    with_handle(&format!("add the gateway {gateway}"), async |handle| {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .build();
        handle.route().add(route).execute().await
    })
    .await
}

/// Does the kernel accept packets to `addr`? It adds the local route some time after its ACK, even
/// without duplicate address detection.
fn is_local(addr: Ipv6Addr) -> bool {
    const RTF_LOCAL: u32 = 0x8000_0000;
    let routes = fs::read_to_string("/proc/thread-self/net/ipv6_route").expect("the IPv6 routes");
    let host = format!("{:032x} 80 ", addr.to_bits());
    routes
        .lines()
        .filter(|route| route.starts_with(&host))
        .any(|route| {
            let flags = route
                .split_whitespace()
                .nth(8)
                .and_then(|flags| u32::from_str_radix(flags, 16).ok());
            flags.is_some_and(|flags| flags & RTF_LOCAL != 0)
        })
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

async fn find(handle: &Handle, link: &str) -> Result<LinkMessage, Error> {
    handle
        .link()
        .get()
        .match_name(link)
        .execute()
        .try_next()
        .await?
        .ok_or(Error::RequestFailed)
}

async fn with_handle<T>(what: &str, f: impl AsyncFnOnce(&Handle) -> Result<T, Error>) -> T {
    let (connection, handle, _) = rtnetlink::new_connection().expect("an rtnetlink socket");
    let connection = tokio::spawn(connection);
    let done = f(&handle).await;
    // Wait for its end: some tests count the sockets of this process.
    connection.abort();
    let _ = connection.await;
    done.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}
