//! One flow in the fake's table, and its messages.

use std::time::{Duration, SystemTime};

use super::release::Release;
use super::tuple::{Tuple, Zone};
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

pub(super) const EXPECTED: u32 = 1;
pub(super) const SEEN_REPLY: u32 = 1 << 1;
pub(super) const ASSURED: u32 = 1 << 2;
pub(super) const CONFIRMED: u32 = 1 << 3;
pub(super) const SRC_NAT: u32 = 1 << 4;
pub(super) const DST_NAT: u32 = 1 << 5;
pub(super) const SEQ_ADJUST: u32 = 1 << 6;
pub(super) const SRC_NAT_DONE: u32 = 1 << 7;
pub(super) const DST_NAT_DONE: u32 = 1 << 8;
pub(super) const DYING: u32 = 1 << 9;
pub(super) const FIXED_TIMEOUT: u32 = 1 << 10;
pub(super) const TEMPLATE: u32 = 1 << 11;
pub(super) const UNTRACKED: u32 = 1 << 12;
pub(super) const HELPER: u32 = 1 << 13;
pub(super) const OFFLOAD: u32 = 1 << 14;
pub(super) const HW_OFFLOAD: u32 = 1 << 15;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proto {
    None,
    Tcp {
        state: u8,
        scale: [u8; 2],
        flags: [u8; 2],
    },
    Sctp {
        state: u8,
        tags: [u32; 2],
    },
    Dccp {
        state: u8,
        /// That of the original direction.
        role: u8,
        handshake: u64,
    },
}

/// The helper extension. A flow keeps it, empty, when its helper is removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Help {
    pub(super) name: Option<Vec<u8>>,
    pub(super) info: Vec<u8>,
}

/// `nf_conn`. An absent extension was not requested when the flow was created.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) tuples: [Tuple; 2],
    pub(super) zone: Zone,
    pub(super) status: u32,
    /// In time of the kernel's clock.
    pub(super) expires: Duration,
    pub(super) mark: u32,
    pub(super) proto: Proto,
    pub(super) help: Option<Help>,
    /// The id and the original tuple of the flow that expected it, which may be gone.
    pub(super) master: Option<(u32, Tuple)>,
    /// The number of flows that have it as their master.
    pub(super) children: u32,
    /// Packets and bytes of each direction.
    pub(super) counters: Option<[[u64; 2]; 2]>,
    /// Start and stop.
    pub(super) times: Option<[u64; 2]>,
    pub(super) labels: Option<[u8; 16]>,
    pub(super) seqadj: [[u32; 3]; 2],
    pub(super) synproxy: Option<[u32; 3]>,
    /// Does it make events?
    pub(super) audible: bool,
    /// Its events that could not be delivered.
    pub(super) missed: Option<(Kind, Changed)>,
}

/// The `IPCT_` bits of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    New,
    Related,
    Update,
    Destroy,
}

/// The optional parts of an event. Events of requests have all of them, and events of packets the
/// parts that changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed {
    pub(super) protoinfo: bool,
    pub(super) labels: bool,
    pub(super) rest: bool,
}

pub(super) const EVERYTHING: Changed = Changed {
    protoinfo: true,
    labels: true,
    rest: true,
};

/// The clock, and the times of an entry that depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) clock: Duration,
    /// Nanoseconds since 1970.
    pub(super) wall: u64,
}

impl Now {
    pub(super) fn at(clock: Duration, start: SystemTime) -> Self {
        let wall = start + clock;
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| since.as_nanos() as u64);
        Self { clock, wall }
    }
}

impl Entry {
    pub(super) fn family(&self) -> u8 {
        self.tuples[0].family
    }

    pub(super) fn protocol(&self) -> u8 {
        self.tuples[0].protocol
    }

    fn seconds_left(&self, now: Now) -> u32 {
        let left = self.expires.saturating_sub(now.clock).as_secs();
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// The attributes of a dump and of a get (`ctnetlink_fill_info`).
    pub(super) fn write(&self, release: &Release, now: Now, being_read: bool, w: &mut Writer<'_>) {
        self.write_tuples(release, w);
        w.put(CTA_STATUS, &self.status);
        if release.marks {
            w.put(CTA_MARK, &self.mark);
        }
        w.put(CTA_ID, &self.id);
        w.put(CTA_USE, &(1 + self.children + u32::from(being_read)));
        self.write_master(release, w);
        if self.status & OFFLOAD == 0 {
            w.put(CTA_TIMEOUT, &self.seconds_left(now));
            self.write_protoinfo(false, w);
        }
        self.write_counters(w);
        self.write_times(w);
        self.write_help(w);
        self.write_labels(w);
        self.write_seqadj(w);
        self.write_synproxy(w);
    }

    /// The attributes of an event (`ctnetlink_conntrack_event`).
    pub(super) fn write_event(
        &self,
        release: &Release,
        now: Now,
        (kind, changed): (Kind, Changed),
        w: &mut Writer<'_>,
    ) {
        self.write_tuples(release, w);
        w.put(CTA_ID, &self.id);
        w.put(CTA_STATUS, &self.status);
        let left = self.seconds_left(now);
        if kind == Kind::Destroy {
            if release.full_destroy && left > 0 {
                w.put(CTA_TIMEOUT, &left);
            }
            self.write_counters(w);
            self.write_times(w);
            if release.full_destroy {
                self.write_protoinfo(true, w);
            }
        } else {
            w.put(CTA_TIMEOUT, &left);
            if changed.protoinfo {
                self.write_protoinfo(false, w);
            }
            self.write_help(w);
            if changed.labels {
                self.write_labels(w);
            }
            if kind == Kind::Related {
                self.write_master(release, w);
            }
            if changed.rest {
                self.write_seqadj(w);
                self.write_synproxy(w);
            }
        }
        let mark_changed = changed.rest && kind != Kind::Destroy;
        if release.marks && (self.mark != 0 || mark_changed) {
            w.put(CTA_MARK, &self.mark);
        }
        if release.event_time && self.times.is_some() {
            w.put(CTA_TIMESTAMP_EVENT, &now.wall);
        }
    }

    fn write_tuples(&self, release: &Release, w: &mut Writer<'_>) {
        for (direction, kind) in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().enumerate() {
            w.nest(kind, |w| {
                self.tuples[direction].write(release, w);
                if self.zone.only == Some(direction) && self.zone.id != 0 {
                    w.put(CTA_TUPLE_ZONE, &self.zone.id);
                }
            });
        }
        if self.zone.only.is_none() && self.zone.id != 0 {
            w.put(CTA_ZONE, &self.zone.id);
        }
    }

    fn write_master(&self, release: &Release, w: &mut Writer<'_>) {
        if let (true, Some((_, master))) = (self.status & EXPECTED != 0, &self.master) {
            w.nest(CTA_TUPLE_MASTER, |w| master.write(release, w));
        }
    }

    fn write_protoinfo(&self, at_end: bool, w: &mut Writer<'_>) {
        match self.proto {
            Proto::None => {}
            Proto::Tcp {
                state,
                scale,
                flags,
            } => w.nest(CTA_PROTOINFO, |w| {
                w.nest(CTA_PROTOINFO_TCP, |w| {
                    w.put(CTA_PROTOINFO_TCP_STATE, &state);
                    if !at_end {
                        w.put(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, &scale[0]);
                        w.put(CTA_PROTOINFO_TCP_WSCALE_REPLY, &scale[1]);
                        w.put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &[flags[0], 0]);
                        w.put(CTA_PROTOINFO_TCP_FLAGS_REPLY, &[flags[1], 0]);
                    }
                });
            }),
            Proto::Sctp { state, tags } => w.nest(CTA_PROTOINFO, |w| {
                w.nest(CTA_PROTOINFO_SCTP, |w| {
                    w.put(CTA_PROTOINFO_SCTP_STATE, &state);
                    if !at_end {
                        w.put(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, &tags[0]);
                        w.put(CTA_PROTOINFO_SCTP_VTAG_REPLY, &tags[1]);
                    }
                });
            }),
            Proto::Dccp {
                state,
                role,
                handshake,
            } => w.nest(CTA_PROTOINFO, |w| {
                w.nest(CTA_PROTOINFO_DCCP, |w| {
                    w.put(CTA_PROTOINFO_DCCP_STATE, &state);
                    if !at_end {
                        w.put(CTA_PROTOINFO_DCCP_ROLE, &role);
                        w.put(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, &handshake);
                    }
                });
            }),
        }
    }

    fn write_counters(&self, w: &mut Writer<'_>) {
        let counters = self.counters.iter().flatten();
        for (kind, [packets, bytes]) in [CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY].iter().zip(counters)
        {
            w.nest(*kind, |w| {
                w.put(CTA_COUNTERS_PACKETS, packets);
                w.put(CTA_COUNTERS_BYTES, bytes);
            });
        }
    }

    fn write_times(&self, w: &mut Writer<'_>) {
        let Some([start, stop]) = self.times else {
            return;
        };
        w.nest(CTA_TIMESTAMP, |w| {
            w.put(CTA_TIMESTAMP_START, &start);
            if stop != 0 {
                w.put(CTA_TIMESTAMP_STOP, &stop);
            }
        });
    }

    fn write_help(&self, w: &mut Writer<'_>) {
        let Some(Help {
            name: Some(name),
            info,
        }) = &self.help
        else {
            return;
        };
        w.nest(CTA_HELP, |w| {
            let name: Vec<u8> = name.iter().copied().chain([0]).collect();
            w.put(CTA_HELP_NAME, &name.into_boxed_slice());
            if !info.is_empty() {
                w.put(CTA_HELP_INFO, &Box::<[u8]>::from(&info[..]));
            }
        });
    }

    fn write_labels(&self, w: &mut Writer<'_>) {
        w.put_some(
            CTA_LABELS,
            self.labels.filter(|bits| *bits != [0; 16]).as_ref(),
        );
    }

    fn write_seqadj(&self, w: &mut Writer<'_>) {
        if self.status & SEQ_ADJUST == 0 {
            return;
        }
        for (kind, [position, before, after]) in [CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY]
            .iter()
            .zip(&self.seqadj)
        {
            w.nest(*kind, |w| {
                w.put(CTA_SEQADJ_CORRECTION_POS, position);
                w.put(CTA_SEQADJ_OFFSET_BEFORE, before);
                w.put(CTA_SEQADJ_OFFSET_AFTER, after);
            });
        }
    }

    fn write_synproxy(&self, w: &mut Writer<'_>) {
        if let Some([isn, its, tsoff]) = &self.synproxy {
            w.nest(CTA_SYNPROXY, |w| {
                w.put(CTA_SYNPROXY_ISN, isn);
                w.put(CTA_SYNPROXY_ITS, its);
                w.put(CTA_SYNPROXY_TSOFF, tsoff);
            });
        }
    }
}
