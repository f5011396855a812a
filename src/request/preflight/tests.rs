use super::*;
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
        assert_eq!(is_there(&answered(errno)).unwrap(), there);
    }
    assert_eq!(is_allowed(&answered(EPERM)), Some(false));
    assert_eq!(is_allowed(&answered(EINVAL)), Some(true));
    assert_eq!(is_allowed(&answered(0)), Some(true));
    let closed = is_there::<()>(&Err(Error::closed())).unwrap_err();
    assert!(closed.is_closed());
}

#[test]
fn what_kernels_compare() {
    let old = compared(false, false, false);
    assert_eq!(old, KernelFilter::FAMILY | KernelFilter::MARK);
    assert_eq!(
        compared(true, true, true),
        KernelFilter::all() - KernelFilter::ANY_OF - KernelFilter::NOT
    );
    let flush = compared(true, true, false);
    assert!(flush.contains(KernelFilter::ZONE) && !flush.contains(KernelFilter::ORIG_SRC));
}
