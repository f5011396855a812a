//! Kinds and texts.

use super::*;

#[test]
fn an_errno_has_a_kind_and_its_number() {
    for (errno, kind) in [
        (uapi::EPERM, ErrorKind::PermissionDenied),
        (uapi::ENOENT, ErrorKind::NotFound),
        (uapi::ETIME, ErrorKind::NotFound),
        (uapi::EEXIST, ErrorKind::AlreadyExists),
        (uapi::EBUSY, ErrorKind::Busy),
        (uapi::ENOMEM, ErrorKind::Kernel),
        (uapi::EOPNOTSUPP, ErrorKind::Unsupported),
        (uapi::EINVAL, ErrorKind::Kernel),
        (12345, ErrorKind::Kernel),
    ] {
        let error = Error::check(Verdict::of(errno)).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.errno(), Some(errno));
    }
    assert!(Error::check(Verdict::of(0)).is_ok());
}

#[test]
fn the_text_says_what_was_asked_and_what_was_answered() {
    let ext_ack = Some(ExtAck {
        message: Some("Attribute failed policy validation".into()),
    });
    let verdict = Verdict {
        ext_ack,
        ..Verdict::of(uapi::ERANGE)
    };
    let error = Error::refused(verdict).context("marking a flow");
    assert_eq!(error.ext_ack(), Some("Attribute failed policy validation"));
    assert_eq!(
        error.to_string(),
        "marking a flow: the kernel rejected the request as malformed \
             (Numerical result out of range (os error 34)); \
             the kernel says: Attribute failed policy validation"
    );
}

#[test]
fn what_was_not_sent_is_not_lost() {
    assert_eq!(Error::unsent(uapi::ENOBUFS).kind(), ErrorKind::Io);
    assert_eq!(Error::overrun().kind(), ErrorKind::Overrun);
    let denied = Error::io("opening", io::Error::from_raw_os_error(uapi::EACCES));
    assert!(denied.is_permission_denied());
}

#[test]
fn a_message_that_does_not_decode_is_kept() {
    let error = Error::decode(DecodeError::Truncated, &[1, 2, 3]);
    assert_eq!(error.bytes(), Some(&[1, 2, 3][..]));
    assert_eq!(error.decode_error(), Some(&DecodeError::Truncated));
}

/// A report that prints the chain of causes, as anyhow does, must not print a cause twice.
#[test]
fn a_cause_is_told_once() {
    let cause = io::Error::from_raw_os_error(uapi::EACCES);
    let error = Error::io("opening /run/netns/blue", cause);
    assert_eq!(
        error.to_string(),
        "opening /run/netns/blue: Permission denied (os error 13)"
    );
    assert!(error::Error::source(&error).is_none());
    let error = Error::decode(DecodeError::Truncated, &[]);
    let (text, cause) = (error.to_string(), DecodeError::Truncated.to_string());
    assert_eq!(text.matches(&cause).count(), 1, "{text}");
    assert!(error::Error::source(&error).is_none());
}

/// A program prints this when its `main` returns the error.
#[test]
fn debug_reads_well() {
    let error = Error::not_found().context("marking a flow");
    let expected = "marking a flow: the flow is not in the table \
                        (No such file or directory (os error 2)) [NotFound]";
    assert_eq!(format!("{error:?}"), expected);
    assert_eq!(format!("{error:#?}"), expected);
}

#[test]
fn io_errors() {
    let of = |error: Error| io::Error::from(error);
    assert_eq!(of(Error::not_found()).kind(), io::ErrorKind::NotFound);
    assert_eq!(of(Error::closed()).kind(), io::ErrorKind::NotConnected);
    let refused = of(Error::refused(Verdict::of(uapi::EINVAL)));
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    let inside = refused.get_ref().and_then(|it| it.downcast_ref::<Error>());
    assert_eq!(inside.and_then(Error::errno), Some(uapi::EINVAL));
}

#[test]
fn what_was_made_before_is_told() {
    let whole = Error::refused(Verdict::of(uapi::ENOSPC));
    assert!(!whole.is_partial());
    let error = whole.after(&["timeout", "mark"]);
    assert!(error.is_partial());
    let text = error.to_string();
    assert!(
        text.contains("made before it, and kept: timeout, mark"),
        "{text}"
    );
}
