//! How each question is answered from the messages.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{Flow, FlowId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Result;
use crate::args::{By, Question};
use crate::fleet::top::{Count, Counts, KEPT};
use crate::message::{Message, Reason, What, nanos};

/// An answer under construction. It prints flows at once, and sums on request.
pub(super) enum Answer {
    Talked {
        address: IpAddr,
    },
    Top {
        by: By,
        n: usize,
        counts: Counts,
    },
    Nat {
        address: IpAddr,
        port: u16,
        /// In nanoseconds since 1970.
        at: Option<u64>,
        /// Flows that have begun, and have not ended.
        open: HashMap<(String, Option<FlowId>), Open>,
    },
    Lost {
        nodes: BTreeMap<(String, Reason), Loss>,
    },
}

pub(super) struct Open {
    start: u64,
    /// The flow as it was published; `None` if it was printed already.
    shown: Option<String>,
}

#[derive(Default)]
pub(super) struct Loss {
    times: u64,
    lost: u64,
    /// Was a number unknown?
    is_more: bool,
    /// Nanoseconds without any information.
    unseen: u64,
}

impl Answer {
    pub(super) fn new(question: &Question) -> Result<Self> {
        Ok(match question {
            Question::Talked { address } => Self::Talked { address: *address },
            Question::Top { by, n } => Self::Top {
                by: *by,
                n: *n,
                counts: Counts::new(KEPT),
            },
            Question::Nat { address, port, at } => Self::Nat {
                address: *address,
                port: *port,
                at: at.as_deref().map(time).transpose()?,
                open: HashMap::new(),
            },
            Question::Lost => Self::Lost {
                nodes: BTreeMap::new(),
            },
        })
    }

    /// The subjects of the messages that the answer needs.
    pub(super) fn subject(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "conntrack.*.overrun",
            _ => "conntrack.*.*.*",
        }
    }

    pub(super) fn take(&mut self, message: Message, payload: &[u8]) {
        let show = || String::from_utf8_lossy(payload).into_owned();
        match self {
            Self::Talked { address } => {
                if let What::End { flow, .. } = &message.what
                    && addresses(flow).contains(address)
                {
                    println!("{}", show());
                }
            }
            Self::Top { by, counts, .. } => {
                if let What::End { flow, .. } = &message.what
                    && let Some(part) = by.of(flow)
                {
                    counts.add(part, bytes(flow));
                }
            }
            Self::Nat {
                address,
                port,
                at,
                open,
            } => {
                let Some(flow) = message.what.flow() else {
                    return;
                };
                if (flow.reply.dst(), flow.reply.dst_port()) != (*address, Some(*port)) {
                    return;
                }
                let key = (message.node.clone(), flow.id);
                let (start, stop) = times(flow, message.seen);
                match &message.what {
                    What::End { .. } => {
                        // If the start is unknown, the flow may have existed.
                        let began = open.remove(&key).map(|open| open.start);
                        let start = start.or(began).unwrap_or(0);
                        if at.is_none_or(|at| start <= at && at <= stop) {
                            println!("{}", show());
                        }
                    }
                    What::Begin { .. } => {
                        let start = start.unwrap_or(message.seen);
                        let shown = at.is_none_or(|at| start <= at).then(show);
                        if open.len() < KEPT {
                            open.insert(key, Open { start, shown });
                        }
                    }
                    What::Change { .. } => {}
                    What::Overrun { .. } => {}
                }
            }
            Self::Lost { nodes } => {
                if let What::Overrun {
                    reason,
                    lost,
                    since,
                } = message.what
                {
                    let loss = nodes.entry((message.node, reason)).or_default();
                    loss.times += 1;
                    loss.lost += lost.unwrap_or(0);
                    loss.is_more |= lost.is_none();
                    loss.unseen += since.map_or(0, |since| message.seen.saturating_sub(since));
                }
            }
        }
    }

    pub(super) fn sum(&mut self) {
        match self {
            Self::Talked { .. } => {}
            Self::Top { n, counts, .. } => {
                if counts.is_cut() {
                    tracing::warn!(
                        "there are more than {KEPT} values: the numbers are lower bounds"
                    );
                }
                for (part, Count { flows, bytes }) in counts.top(*n) {
                    println!("{part}\t{flows} flows\t{bytes} bytes");
                }
            }
            Self::Nat { open, .. } => {
                for shown in open.values_mut().filter_map(|open| open.shown.take()) {
                    println!("{shown}");
                }
            }
            Self::Lost { nodes } => {
                for ((node, reason), loss) in nodes {
                    let (times, lost) = (loss.times, loss.lost);
                    let more = if loss.is_more { " or more" } else { "" };
                    let unseen = Duration::from_nanos(loss.unseen).as_secs_f64();
                    let reason = reason.as_str();
                    println!(
                        "{node}\t{reason}\t{times} times\t{lost}{more} lost\t{unseen:.1} s unseen"
                    );
                }
            }
        }
    }
}

/// The addresses of both ends, as each end sees them.
fn addresses(flow: &Flow) -> [IpAddr; 4] {
    [
        flow.orig.src(),
        flow.orig.dst(),
        flow.reply.src(),
        flow.reply.dst(),
    ]
}

fn bytes(flow: &Flow) -> u64 {
    let both = [flow.counters_orig, flow.counters_reply];
    both.iter().flatten().map(|counters| counters.bytes).sum()
}

fn times(flow: &Flow, seen: u64) -> (Option<u64>, u64) {
    let times = flow.timestamp();
    let stop = times.and_then(|times| times.stop);
    (
        times.map(|times| nanos(times.start)),
        stop.map_or(seen, nanos),
    )
}

fn time(text: &str) -> Result<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds.saturating_mul(1_000_000_000));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| format!("at: {text:?} is not a time: {error}"))?;
    Ok(u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0))
}
