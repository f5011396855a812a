use super::*;
use crate::error::Error;
use crate::wire::attr::DecodeError;
use crate::wire::message::Verdict;

fn answered(errno: i32) -> Result<()> {
    Error::check(Verdict::of(errno))
}

#[test]
fn an_answer_tells_whether_somebody_is_there() {
    for (errno, there) in [
        (0, Some(true)),
        (ENOENT, Some(true)),
        (EINVAL, Some(false)),
        (EOPNOTSUPP, Some(false)),
        (EPERM, None),
    ] {
        assert_eq!(is_there(answered(errno)).unwrap(), there);
    }
    assert_eq!(is_allowed(&answered(EPERM)), Some(false));
    assert_eq!(is_allowed(&answered(EINVAL)), Some(true));
    assert_eq!(is_allowed(&answered(0)), Some(true));
    let closed = is_there::<()>(Err(Error::closed())).unwrap_err();
    assert!(closed.is_closed());
    let undecoded = Error::decode(DecodeError::Truncated, &[]);
    assert_eq!(is_there::<()>(Err(undecoded)).unwrap(), None);
}

#[test]
fn what_kernels_compare() {
    let (oldest, newest) = (Capabilities::of((4, 19)), Capabilities::of((6, 18)));
    let both = KernelFilter::FAMILY | KernelFilter::MARK;
    assert_eq!(in_list(oldest), both);
    assert_eq!(
        in_list(newest),
        KernelFilter::all() - KernelFilter::ANY_OF - KernelFilter::NOT
    );
    assert_eq!(in_flush(oldest, false), KernelFilter::empty());
    assert_eq!(
        in_flush(Capabilities::of((5, 4)), true),
        KernelFilter::FAMILY
    );
    assert_eq!(
        in_flush(newest, true),
        both | KernelFilter::STATUS | KernelFilter::ZONE
    );
}
