//! Is `nf_conntrack` among the hooks that packets of a family pass?

use super::is_there;
use crate::error::Result;
use crate::flow::Family;
use crate::request::Task;
use crate::request::dump::dump;
use crate::wire::attr::{Attributes, DecodeError};
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

/// Whether one hook is conntrack's. `None` if the kernel does not report function names
/// (CONFIG_KALLSYMS).
type Hook = Option<bool>;

/// Is conntrack among the hooks? `None` if the kernel does not tell.
pub(super) async fn tracks(task: &Task, family: Family) -> Result<Option<bool>> {
    let hooks = dump(task, request(family), decode).await;
    Ok(match hooks {
        Ok(hooks) => judge(&hooks),
        Err(error) => {
            // Fail only if the error is not an answer of the kernel.
            is_there::<()>(Err(error))?;
            None
        }
    })
}

fn judge(hooks: &[Hook]) -> Option<bool> {
    match hooks.contains(&Some(true)) {
        true => Some(true),
        false if hooks.contains(&None) => None,
        false => Some(false),
    }
}

/// A dump of the hooks for incoming packets.
fn request(family: Family) -> Request {
    Request::new(NFNL_MSG_HOOK_GET, NLM_F_DUMP, family.number())
        .with(|w| w.put(NFNLA_HOOK_HOOKNUM, &NF_INET_PRE_ROUTING))
}

fn decode(frame: &Frame<'_>) -> Result<Hook, DecodeError> {
    function(frame.attributes()?)
}

fn function(mut attributes: Attributes<'_>) -> Result<Hook, DecodeError> {
    while let Some(attr) = attributes.next()? {
        if attr.kind == NFNLA_HOOK_FUNCTION_NAME {
            let name: Box<str> = attr.get()?;
            // A compiler may add a suffix: `ipv4_conntrack_in.llvm.123`.
            let name = name.split('.').next();
            return Ok(Some(matches!(
                name,
                Some("ipv4_conntrack_in" | "ipv6_conntrack_in")
            )));
        }
    }
    Ok(None)
}

#[cfg(all(test, target_endian = "little"))]
pub(super) mod tests;
