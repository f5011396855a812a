//! Merges a message about a flow with its known state. An event leaves out what did not change, and
//! some of what did.

use super::learnt::Learnt;
use crate::flow::{Counters, Flow, ProtoInfo};

/// Adds to the flow of a `New` or `Update` event what it leaves out. Returns whether the flow must
/// be looked up, because a change is possible that such an event cannot express.
pub(super) fn changed(known: &Flow, said: &mut Flow) -> bool {
    // Labels are left out if they did not change, but also if they were cleared.
    let doubt = said.labels.is_none() && known.labels.is_some();
    said.labels = said.labels.or(known.labels);
    if said.protoinfo.is_none() {
        said.protoinfo = known.protoinfo.clone();
    }
    said.synproxy = said.synproxy.or(known.synproxy);
    keep_counters(known, said);
    keep_rare(known, said);
    // The helper needs no merge: all events except `Destroy` contain it.
    doubt
}

/// Merges a known flow with its `Destroy` event.
pub(super) fn ended(known: &Flow, mut said: Flow, learnt: &Learnt) -> Flow {
    said.mark = said.mark.or(learnt.no_mark());
    said.labels = said.labels.or(known.labels);
    said.protoinfo = last_state(known.protoinfo.clone(), said.protoinfo.take());
    said.synproxy = said.synproxy.or(known.synproxy);
    keep_counters(known, &mut said);
    keep_rare(known, &mut said);
    if said.helper().is_none() {
        if let Some(helper) = known.helper() {
            said.set_helper(helper.clone());
        }
    }
    said
}

/// Merges a flow that had an event since a list began with the version in that list. The event
/// wins, because it may be newer. The `bool` is `true` if the two do not agree, and the flow must be
/// looked up: either may be right, because an event also leaves out what changed in an earlier
/// event that was lost.
///
/// What the event left out is not taken from the list. The list may contain an earlier flow: one
/// that begins again at the same place in the kernel's memory has the same id.
pub(super) fn refreshed(known: &Flow, mut listed: Flow) -> (Flow, bool) {
    let mut flow = known.clone();
    // Only mark 0 is left out.
    flow.mark = flow.mark.or(listed.mark.filter(|mark| *mark == 0));
    listed.timeout = flow.timeout;
    listed.use_count = flow.use_count;
    let counters = (listed.counters_orig, listed.counters_reply);
    listed.counters_orig = flow.counters_orig;
    listed.counters_reply = flow.counters_reply;
    let lacks_counters = flow.counters_orig.is_none() && counters.0.is_some();
    let doubt = flow != listed || lacks_counters;
    flow.counters_orig = later(flow.counters_orig, counters.0);
    flow.counters_reply = later(flow.counters_reply, counters.1);
    (flow, doubt)
}

/// The later of two versions: a lookup during a list can be newer than the list.
fn later(known: Option<Counters>, listed: Option<Counters>) -> Option<Counters> {
    let known = known?;
    let is_later = |listed: &Counters| listed.packets >= known.packets;
    Some(listed.filter(is_later).unwrap_or(known))
}

fn keep_counters(known: &Flow, said: &mut Flow) {
    said.counters_orig = said.counters_orig.or(known.counters_orig);
    said.counters_reply = said.counters_reply.or(known.counters_reply);
}

/// Keeps the rare parts that events leave out, except the helper.
fn keep_rare(known: &Flow, said: &mut Flow) {
    if known.rare.is_none() {
        return;
    }
    macro_rules! keep {
        ($($get:ident, $set:ident;)+) => {
            $(if said.$get().is_none() {
                if let Some(value) = known.$get() {
                    said.$set(value.clone());
                }
            })+
        };
    }
    keep! {
        master, set_master;
        timestamp, set_timestamp;
        seqadj_orig, set_seqadj_orig;
        seqadj_reply, set_seqadj_reply;
        secctx, set_secctx;
    }
}

/// A `Destroy` event contains only the state.
fn last_state(known: Option<ProtoInfo>, said: Option<ProtoInfo>) -> Option<ProtoInfo> {
    match (known, said) {
        (Some(ProtoInfo::Tcp(mut known)), Some(ProtoInfo::Tcp(said))) => {
            known.state = said.state;
            Some(ProtoInfo::Tcp(known))
        }
        (Some(ProtoInfo::Sctp(mut known)), Some(ProtoInfo::Sctp(said))) => {
            known.state = said.state;
            Some(ProtoInfo::Sctp(known))
        }
        (Some(ProtoInfo::Dccp(mut known)), Some(ProtoInfo::Dccp(said))) => {
            known.state = said.state;
            Some(ProtoInfo::Dccp(known))
        }
        (known, said) => said.or(known),
    }
}
