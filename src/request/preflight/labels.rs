//! Does a rule of nftables set labels? Then new flows have room for them.

use super::is_there;
use crate::error::Result;
use crate::request::Task;
use crate::request::dump::dump;
use crate::wire::attr::{Attribute, Attributes, DecodeError};
use crate::wire::message::Request;
use crate::wire::uapi::*;

/// `None` if the kernel has no nftables.
pub(super) async fn are_set(task: &Task) -> Result<Option<bool>> {
    let request = Request::new(NFT_MSG_GETRULE, NLM_F_DUMP, AF_UNSPEC);
    let rules = dump(task, request, |frame| sets_labels(frame.attributes()?)).await;
    Ok(match rules {
        Ok(rules) => Some(rules.contains(&true)),
        Err(error) => {
            // Fail only if the error is not an answer of the kernel.
            is_there::<()>(Err(error))?;
            None
        }
    })
}

/// Does this rule have an expression that makes the kernel reserve room for labels
/// (nf_connlabels_get)?
fn sets_labels(mut rule: Attributes<'_>) -> Result<bool, DecodeError> {
    while let Some(attr) = rule.next()? {
        if attr.kind == NFTA_RULE_EXPRESSIONS {
            let mut elements = attr.nest();
            while let Some(element) = elements.next()? {
                if element.kind == NFTA_LIST_ELEM && expression(element)? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

fn expression(element: Attribute<'_>) -> Result<bool, DecodeError> {
    let (mut name, mut data) = (None, None);
    let mut attributes = element.nest();
    while let Some(attr) = attributes.next()? {
        match attr.kind {
            NFTA_EXPR_NAME => name = Some(attr.get::<Box<str>>()?),
            NFTA_EXPR_DATA => data = Some(attr.nest()),
            _ => {}
        }
    }
    match (name.as_deref(), data) {
        (Some("ct"), Some(data)) => writes_labels(data),
        (Some("match"), Some(data)) => is_connlabel(data),
        _ => Ok(false),
    }
}

/// A `ct label set` has a source register.
fn writes_labels(mut ct: Attributes<'_>) -> Result<bool, DecodeError> {
    let (mut labels, mut source) = (false, false);
    while let Some(attr) = ct.next()? {
        match attr.kind {
            NFTA_CT_KEY => labels = attr.get::<u32>()? == NFT_CT_LABELS,
            NFTA_CT_SREG => source = true,
            _ => {}
        }
    }
    Ok(labels && source)
}

/// The expression that iptables-nft makes from `-m connlabel`.
fn is_connlabel(mut matched: Attributes<'_>) -> Result<bool, DecodeError> {
    while let Some(attr) = matched.next()? {
        if attr.kind == NFTA_MATCH_NAME {
            return Ok(*attr.get::<Box<str>>()? == *"connlabel");
        }
    }
    Ok(false)
}
