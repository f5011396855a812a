//! The traits of the nouns, as a user writes them.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::Duration;

use ctnetlink::{
    DccpState, Family, IpNet, NetworkNamespace, PrefixSet, Protocol, SctpState, TcpState, Zone,
};

use super::*;

type Any = std::result::Result<(), Box<dyn std::error::Error>>;

/// The texts that `FromStr` reads, with the text of `Display` if it differs.
#[test]
fn nouns_are_read_from_text() -> Any {
    fn read<T: FromStr<Err = Error> + PartialEq + std::fmt::Debug>(text: &str, value: T) -> Any {
        assert_eq!(text.parse::<T>()?, value, "{text}");
        Ok(())
    }
    let socket = |text: &str| text.parse::<SocketAddr>();
    let web = Tuple::tcp(socket("10.0.0.1:4000")?, socket("10.0.0.2:443")?)?;
    read("tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443", web)?;
    read("ipv6", Family::Ipv6)?;
    read("ESTABLISHED", TcpState::ESTABLISHED)?;
    read("cookie_wait", SctpState::COOKIE_WAIT)?;
    read("PARTOPEN", DccpState::PARTOPEN)?;
    read("77", TcpState::from(77))?;
    read("SEEN_REPLY,ASSURED", Status::SEEN_REPLY | Status::ASSURED)?;
    read("0x10/0xf0", Masked::new(0x10, 0xf0))?;
    read("16", Masked::from(16u32))?;
    read(
        "ASSURED/ASSURED",
        Masked::new(Status::ASSURED, Status::ASSURED),
    )?;
    read(
        "{3}/{3,4}",
        Masked::new(Labels::bit(3)?, Labels::from(0b11000)),
    )?;
    read("8000-8999", Ports::from(8000..=8999))?;
    read("443", Ports::from(443))?;
    read("zone-orig=5", Zone::orig(5))?;
    read("5", Zone::new(5))?;
    read("3,127", Labels::bit(3)? | Labels::bit(127)?)?;
    read("sctp", Protocol::SCTP)?;
    read("10.0.0.1", PrefixSet::from(Ipv4Addr::new(10, 0, 0, 1)))?;
    Ok(())
}

#[test]
fn nouns_are_shown() -> Any {
    let text = "udp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53";
    let tuple: Tuple = text.parse()?;
    let flow = NewFlow::new(tuple, Duration::from_secs(9)).mark(7);
    let patch = Patch::new().mark(Masked::new(0x10, 0xf0));
    let filter = Filter::builder()
        .protocol(Protocol::TCP)
        .orig_dst_port(443..=444);
    for (shown, line) in [
        (
            FlowKey::orig(tuple).zone(5).to_string(),
            format!("{text} zone=5"),
        ),
        (Masked::new(0x10u32, 0xf0).to_string(), "0x10/0xf0".into()),
        (Ports::from(..1024).to_string(), "0-1023".into()),
        (
            (EventKinds::NEW | EventKinds::DESTROY).to_string(),
            "NEW,DESTROY".into(),
        ),
        (
            filter.build()?.to_string(),
            "protocol=tcp orig_dst_port=443-444".into(),
        ),
        (flow.to_string(), format!("{text} timeout=9 mark=0x7")),
        (patch.to_string(), "mark=0x10/0xf0".into()),
        (
            Change::delete(tuple).to_string(),
            text.replace("udp ", "delete "),
        ),
    ] {
        assert_eq!(shown, line);
    }
    Ok(())
}

#[test]
fn keys_are_ordered_and_come_from_nouns() -> Any {
    let tuple: Tuple = "icmp src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7".parse()?;
    let flow = Flow::new(tuple, tuple.inverse());
    let keys = std::collections::BTreeSet::from([
        FlowKey::reply(tuple),
        FlowKey::from(&flow),
        FlowKey::from(tuple),
        FlowKey::from(&tuple),
        FlowKey::from(&NewFlow::from(&flow)),
    ]);
    assert_eq!(keys.len(), 2);
    assert!(FlowKey::orig(tuple) < FlowKey::reply(tuple));
    assert_eq!(Change::delete(&flow), Change::Delete(FlowKey::from(&flow)));
    Ok(())
}

/// An address can be given where a prefix is taken.
#[test]
fn addresses_where_a_prefix_is_taken() -> Any {
    let (four, six) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    let sets: [PrefixSet; 7] = [
        four.into(),
        six.into(),
        IpAddr::from(four).into(),
        "10.0.0.0/8".parse::<IpNet>()?.into(),
        "10.0.0.0/8".parse::<ctnetlink::IpNet>()?.into(),
        "10.0.0.1".parse()?,
        [four, Ipv4Addr::BROADCAST].into_iter().collect(),
    ];
    for set in sets {
        let filter = Filter::builder().orig_src(set.clone()).build()?;
        assert_eq!(filter.orig_src(), Some(&set));
    }
    Filter::builder().orig_src(four).reply_dst(four).build()?;
    Ok(())
}

/// The `peer_addr()` of a dual-stack socket returns such addresses.
#[test]
fn mapped_addresses_are_of_ipv4_everywhere() -> Any {
    let (plain, mapped) = (
        Ipv4Addr::new(10, 0, 0, 1),
        Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped(),
    );
    let at = |address: IpAddr| SocketAddr::new(address, 7);
    let tuple = Tuple::tcp(at(plain.into()), at(plain.into()))?;
    assert_eq!(Tuple::tcp(at(mapped.into()), at(mapped.into()))?, tuple);
    assert_eq!(Tuple::tcp(at(plain.into()), at(mapped.into()))?, tuple);
    let text = format!("tcp src={mapped} dst={plain} sport=7 dport=7");
    assert_eq!(text.parse::<Tuple>()?, tuple);
    let generic = Tuple::generic(plain.into(), plain.into(), 50)?;
    assert_eq!(Tuple::generic(mapped.into(), mapped.into(), 50)?, generic);
    let gre = Tuple::gre(plain.into(), plain.into(), 1, 2)?;
    assert_eq!(Tuple::gre(mapped.into(), mapped.into(), 1, 2)?, gre);
    assert_eq!(Nat::to(mapped), Nat::to(plain));
    let any = |address: IpAddr| Nat::to_any(address..=address);
    assert_eq!(any(mapped.into()), any(plain.into()));
    assert_eq!(PrefixSet::from(mapped), PrefixSet::from(plain));
    assert_eq!(mapped.to_string().parse::<PrefixSet>()?, plain.into());
    let net = |text: &str| text.parse::<IpNet>().map(PrefixSet::from);
    assert_eq!(net("::ffff:10.0.0.0/104")?, net("10.0.0.0/8")?);
    assert_eq!(net("::ffff:0.0.0.0/96")?, net("0.0.0.0/0")?);
    // Shorter prefixes contain more than IPv4.
    assert_ne!(net("::/95")?, net("0.0.0.0/0")?);
    Ok(())
}

#[test]
fn errors_are_those_of_io_where_they_have_to_be() -> Any {
    fn build() -> std::io::Result<Filter> {
        Ok(Filter::builder().mark(Masked::new(0x10, 0x01)).build()?)
    }
    let error = build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let inside = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    assert_eq!(inside.map(Error::kind), Some(ErrorKind::InvalidInput));
    Ok(())
}

/// Each names a namespace. Opening finds out whether it exists.
#[test]
fn namespaces() -> Any {
    let file = File::open("/proc/self/ns/net")?;
    let path = std::path::Path::new("/proc/self/ns/net");
    let all: [NetworkNamespace; 8] = [
        (&file).into(),
        file.as_fd().into(),
        file.try_clone()?.into(),
        std::os::fd::OwnedFd::from(file.try_clone()?).into(),
        path.into(),
        path.to_owned().into(),
        "blue".into(),
        String::from("/proc/1/ns/net").into(),
    ];
    for namespace in all {
        let _ = Options::new().network_namespace(namespace);
    }
    // The file is still the caller's.
    assert!(file.metadata().is_ok());
    let missing = Options::new()
        .network_namespace("no-such-name")
        .new_connection();
    let text = missing.unwrap_err().to_string();
    assert!(text.contains("/run/netns/no-such-name"), "{text}");
    Ok(())
}
