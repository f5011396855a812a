//! Collects a small dump into a vector, for objects of which there are only a few.

use std::future::poll_fn;

use super::Task;
use crate::error::{Error, Result};
use crate::transport::walk::{SEQ, is_deferral};
use crate::wire::attr::DecodeError;
use crate::wire::message::{Frame, Request};

/// Answers are matched by their sequence number, because their type may belong to another
/// subsystem.
pub(super) async fn dump<T>(
    task: &Task,
    request: Request,
    decode: impl Fn(&Frame<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>> {
    let (mut walk, mut datagram) = task.walk(request).await?;
    let mut objects = Vec::new();
    loop {
        let frames = Frame::all(&datagram).filter(|frame| frame.seq == SEQ && !is_deferral(frame));
        for frame in frames {
            if let Some(verdict) = frame.verdict() {
                return Error::check(verdict).map(|()| objects);
            }
            if !frame.is_control() {
                let object = decode(&frame);
                objects.push(object.map_err(|cause| Error::decode(cause, frame.bytes))?);
            }
        }
        let next = poll_fn(|cx| walk.poll_next(cx, &mut datagram));
        let next = async { next.await.unwrap_or_else(|| Err(Error::unanswered())) };
        task.in_time(next).await?;
    }
}
