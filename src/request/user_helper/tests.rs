use super::*;
use crate::wire::message::Verdict;

#[test]
fn an_errno_is_told_with_the_reason() {
    for (errno, kind, word) in [
        (ENOENT, ErrorKind::NotFound, "no helper"),
        (EEXIST, ErrorKind::AlreadyExists, "already"),
        (EBUSY, ErrorKind::Busy, "a rule uses"),
        (EINVAL, ErrorKind::Unsupported, "nfnetlink_cthelper"),
        (ENOMEM, ErrorKind::Kernel, "the kernel is out of memory"),
        (EPERM, ErrorKind::PermissionDenied, "initial user namespace"),
    ] {
        let error = explain(Error::refused(Verdict::of(errno)));
        assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
        assert!(error.to_string().contains(word), "{error}");
        // The error must not talk about flows.
        assert!(!error.to_string().contains("flow is"), "{error}");
        assert!(!error.to_string().contains("nf_conntrack_max"), "{error}");
    }
}

#[test]
#[cfg(target_endian = "little")]
fn a_delete_names_one() {
    let key = UserHelperKey::new("ftp", crate::flow::Family::Ipv6, 6);
    crate::wire::golden::assert_bytes(
        &named(NFNL_MSG_CTHELPER_DEL, &key).finish(1),
        "30000000 0209 0500 01000000 00000000  00 00 0000
         0800 0100 66747000  1400 0280  0600 0100 000a0000  0500 0200 06000000",
    );
}
