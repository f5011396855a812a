use std::time::Duration;

use super::*;
use crate::timeout::{SingleTimeout, TcpTimeouts, TwoWayTimeouts};
use crate::wire::message::Verdict;

#[test]
fn an_errno_is_told_with_the_reason() {
    for (errno, kind, word) in [
        (ENOENT, ErrorKind::NotFound, "no timeout policy"),
        (EEXIST, ErrorKind::AlreadyExists, "already"),
        (EBUSY, ErrorKind::Busy, "a rule uses"),
        (EOPNOTSUPP, ErrorKind::Unsupported, "for the protocol"),
        (EINVAL, ErrorKind::Unsupported, "nfnetlink_cttimeout"),
        (ENOMEM, ErrorKind::Kernel, "the kernel is out of memory"),
        (EPERM, ErrorKind::PermissionDenied, "CAP_NET_ADMIN"),
    ] {
        let error = explain(Error::refused(Verdict::of(errno)));
        assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
        assert!(error.to_string().contains(word), "{error}");
        // The error must not talk about flows.
        assert!(!error.to_string().contains("flow is"), "{error}");
        assert!(!error.to_string().contains("nf_conntrack_max"), "{error}");
    }
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::assert_bytes;

    fn policy() -> TimeoutPolicy {
        let tcp = TcpTimeouts::new()
            .established(Duration::from_millis(99_001))
            .syn_sent(Duration::ZERO);
        TimeoutPolicy::new("p6", Family::Ipv6, tcp)
    }

    /// The flags of a create and of an update.
    #[test]
    fn of_a_policy() {
        for (flags, golden) in [(NLM_F_CREATE | NLM_F_EXCL, "0506"), (NLM_F_REPLACE, "0501")] {
            assert_bytes(
                &new(flags, &policy()).finish(1),
                &format!(
                    "40000000 0008 {} 01000000 00000000  00 00 0000
                     0700 0100 70360000  0600 0200 000a0000  0500 0300 06000000
                     1400 0480  0800 0100 00000000  0800 0300 00000064",
                    golden
                ),
            );
        }
    }

    #[test]
    fn of_a_name() {
        for (kind, golden) in [
            (IPCTNL_MSG_TIMEOUT_GET, "0108"),
            (IPCTNL_MSG_TIMEOUT_DELETE, "0208"),
        ] {
            assert_bytes(
                &named(kind, "p6").finish(1),
                &format!(
                    "1c000000 {golden} 0500 01000000 00000000  00 00 0000  0700 0100 70360000"
                ),
            );
        }
    }

    #[test]
    fn of_defaults() {
        assert_bytes(
            &defaults_request(Protocol::ICMPV6).finish(1),
            "24000000 0408 0500 01000000 00000000  00 00 0000
             0600 0200 000a0000  0500 0300 3a000000",
        );
        let udp = TwoWayTimeouts::new().replied(Duration::from_secs(7));
        assert_bytes(
            &set_defaults_request(&Timeouts::Udp(udp)).finish(1),
            "30000000 0308 0500 01000000 00000000  00 00 0000
             0600 0200 00020000  0500 0300 11000000  0c00 0480  0800 0200 00000007",
        );
        let other = SingleTimeout::new().timeout(Duration::from_secs(9));
        assert_bytes(
            &set_defaults_request(&Timeouts::Generic(other)).finish(1),
            "30000000 0308 0500 01000000 00000000  00 00 0000
             0600 0200 00020000  0500 0300 ff000000  0c00 0480  0800 0100 00000009",
        );
    }
}
