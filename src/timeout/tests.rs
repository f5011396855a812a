use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::flow::accounting::LONGEST;
use crate::wire::message::Request;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |policy: TimeoutPolicy, word: &str| {
        let error = policy.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    };
    let policy = |name: &str| TimeoutPolicy::new(name, Family::Ipv4, TcpTimeouts::new());
    refused(policy(""), "empty");
    refused(policy("a\0b"), "NUL");
    refused(policy(&"n".repeat(32)), "31 bytes");
    policy(&"n".repeat(31)).check().unwrap();
    let long = TcpTimeouts::new().close(LONGEST + Duration::from_nanos(1));
    refused(
        TimeoutPolicy::new("p", Family::Ipv4, long),
        "CLOSE: the maximum is 4294967 s",
    );
    let longest = TcpTimeouts::new().close(LONGEST);
    TimeoutPolicy::new("p", Family::Ipv4, longest)
        .check()
        .unwrap();
    refused(
        TimeoutPolicy::new("p", Family::Ipv4, Timeouts::unset(89.into())),
        "protocol ospf has no states",
    );
    let mut nowhere = policy("p");
    nowhere.family = None;
    refused(nowhere, "family");
}

#[test]
fn each_protocol_has_its_own() {
    for protocol in [1, 6, 17, 33, 47, 58, 132, 136, 255, 89] {
        let protocol = Protocol::new(protocol);
        let timeouts = Timeouts::unset(protocol);
        assert_eq!(timeouts.protocol(), protocol);
        assert_eq!(timeouts.iter().count() == 0, protocol == 89);
        assert!(timeouts.iter().all(|(_, timeout)| timeout.is_none()));
    }
}

#[test]
fn what_is_set_goes_before_what_was() {
    let new = Timeouts::from(TcpTimeouts::new().close(secs(1)));
    let old = Timeouts::from(TcpTimeouts::new().close(secs(2)).retrans(secs(3)));
    let both = TcpTimeouts::new().close(secs(1)).retrans(secs(3));
    assert_eq!(new.or(&old), Timeouts::from(both));
}

#[test]
fn states_by_their_words() {
    let secs = Duration::from_secs;
    let mut timeouts = Timeouts::unset(Protocol::TCP);
    for (word, _) in timeouts.iter() {
        timeouts.set(&word.to_lowercase(), secs(7)).unwrap();
    }
    assert!(timeouts.iter().all(|(_, timeout)| timeout == Some(secs(7))));
    for (mut timeouts, word) in [
        (timeouts, "REPLIED"),
        (timeouts, "CLOS"),
        (Timeouts::unset(200.into()), "TIMEOUT"),
    ] {
        let error = timeouts.set(word, secs(7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::bytes;

    // From Linux 6.18.
    const TCP: &str = "90000000 0008 0200 09000000 5f3b0000  00 00 0000
        0700 0100 70360000  0600 0200 00020000  0500 0300 06000000  0800 0500 00000001
        5c00 0480  0800 0100 00000078  0800 0200 0000003c  0800 0300 00000064
                   0800 0400 00000078  0800 0500 0000003c  0800 0600 0000001e
                   0800 0700 00000078  0800 0800 0000000a  0800 0900 00000078
                   0800 0a00 0000012c  0800 0b00 0000012c";
    const DEFAULTS_OF_UDP: &str = "38000000 0308 0200 0c000000 5f3b0000  00 00 0000
        0600 0200 00020000  0500 0300 11000000
        1400 0480  0800 0100 0000001e  0800 0200 00000078";

    #[test]
    fn a_policy() {
        let tcp = TcpTimeouts {
            syn_sent: Some(secs(120)),
            syn_recv: Some(secs(60)),
            established: Some(secs(100)),
            fin_wait: Some(secs(120)),
            close_wait: Some(secs(60)),
            last_ack: Some(secs(30)),
            time_wait: Some(secs(120)),
            close: Some(secs(10)),
            syn_sent2: Some(secs(120)),
            retrans: Some(secs(300)),
            unacknowledged: Some(secs(300)),
        };
        let mut policy = TimeoutPolicy::new("p6", Family::Ipv4, tcp);
        policy.use_count = Some(1);
        assert_eq!(
            Error::reading(&bytes(TCP), TimeoutPolicy::decode).unwrap(),
            policy
        );
        // The encoder writes the same, except the count, which the kernel sets.
        let ours = Request::new(IPCTNL_MSG_TIMEOUT_NEW, 0, 0)
            .with(|w| policy.encode(w))
            .finish(1);
        let theirs = bytes(TCP);
        assert_eq!(ours[20..44], theirs[20..44]);
        assert_eq!(ours[44..], theirs[52..]);
    }

    #[test]
    fn defaults() {
        let message = bytes(DEFAULTS_OF_UDP);
        let frame = Frame::first(&message).unwrap().unwrap();
        let udp = TwoWayTimeouts::new().unreplied(secs(30)).replied(secs(120));
        assert_eq!(decode_timeouts(&frame).unwrap(), Timeouts::Udp(udp));
        // Defaults have no name.
        assert!(Error::reading(&message, TimeoutPolicy::decode).is_err());
    }

    #[test]
    fn a_newer_kernels_protocol_state_and_family() {
        let message = bytes(
            "38000000 0008 0200 0c000000 5f3b0000  00 00 0000
             0600 0100 70000000  0600 0200 00010000  0500 0300 c8000000
             0c00 0480  0800 6300 0000001e",
        );
        let policy = Error::reading(&message, TimeoutPolicy::decode).unwrap();
        assert_eq!(policy.family, None);
        assert_eq!(policy.timeouts, Timeouts::Other(200.into()));
        let mut known = message;
        known[40] = 17;
        let policy = Error::reading(&known, TimeoutPolicy::decode).unwrap();
        assert_eq!(policy.timeouts, Timeouts::Udp(TwoWayTimeouts::new()));
    }
}

#[test]
fn a_name_has_a_bound() {
    let read = |length: usize| {
        let policy = TimeoutPolicy::new("n".repeat(length), Family::Ipv4, TcpTimeouts::new());
        let request = Request::new(IPCTNL_MSG_TIMEOUT_NEW, 0, 0).with(|w| policy.encode(w));
        Error::reading(&request.finish(1), TimeoutPolicy::decode)
    };
    assert_eq!(read(31).unwrap().name.len(), 31);
    for length in [32, 30_000] {
        let error = read(length).unwrap_err().to_string();
        assert!(error.contains("CTA_TIMEOUT_NAME is too long"), "{error}");
    }
}
