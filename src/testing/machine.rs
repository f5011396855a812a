//! The whole state of a fake kernel, and what it does with a datagram of requests.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::attrs::{self, Attrs};
use super::entry::Now;
use super::expectation::Expectation;
use super::faults::Faults;
use super::helper::Helper;
use super::port::{ACK, Port};
use super::redelivery::Dying;
use super::release::{FilteredFlush, Release};
use super::stats::Cpus;
use super::table::Table;
use super::timeouts::Timeouts;
use super::tuple::Zone;
use super::user_helpers::UserHelper;
use super::words::{Refusal, Words};
use crate::wire::attr::{Writer, align4};
use crate::wire::uapi::*;

const NLM_F_ECHO: u16 = 8;
const BATCH_BEGIN: u16 = 0x10;
const NLMSG_HEADER: usize = 16;
const HEADERS: usize = 20;

/// Subsystems of nfnetlink.
const CTNETLINK: u8 = 1;
const CTNETLINK_EXP: u8 = 2;
const TIMEOUT: u8 = 8;
const CTHELPER: u8 = 9;

/// The settings of an administrator.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) accounting: bool,
    pub(super) timestamps: bool,
    pub(super) label_rule: bool,
    pub(super) events: u8,
    pub(super) max_flows: u32,
    pub(super) max_expectations: u32,
    pub(super) helpers: Vec<Helper>,
    /// Is it built with timeout policies, and with helpers in user space?
    pub(super) timeouts: bool,
    pub(super) user_helpers: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) release: Release,
    pub(super) settings: Settings,
    pub(super) clock: Duration,
    pub(super) start: SystemTime,
    pub(super) table: Table,
    pub(super) expectations: BTreeMap<u32, Expectation>,
    pub(super) ports: BTreeMap<u32, Port>,
    pub(super) cpus: Cpus,
    pub(super) timeouts: Timeouts,
    pub(super) user_helpers: Vec<UserHelper>,
    /// Flows that have ended, but whose end event is not delivered yet.
    pub(super) dying: Vec<Dying>,
    /// When the delivery is tried again.
    pub(super) redelivery: Option<Duration>,
    pub(super) faults: Faults,
    pub(super) last_port: u32,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    pub(super) family: u8,
    pub(super) version: u8,
    pub(super) port: u32,
    pub(super) attrs: Attrs<'a>,
}

impl Message<'_> {
    /// Is it a dump? One of the two bits is enough.
    pub(super) fn is_dump(&self) -> bool {
        self.flags & NLM_F_DUMP != 0
    }

    pub(super) fn wants_echo(&self) -> bool {
        self.flags & NLM_F_ECHO != 0
    }
}

/// The outcome of a request.
pub(super) enum Outcome {
    Done,
    /// A dump has begun. Its DONE message is the answer.
    Dumping,
}

impl Machine {
    pub(super) fn new(release: Release) -> Self {
        Self {
            settings: Settings {
                accounting: false,
                timestamps: false,
                label_rule: false,
                events: release.events,
                max_flows: 262_144,
                max_expectations: 4096,
                helpers: Helper::KNOWN.to_vec(),
                timeouts: true,
                user_helpers: true,
            },
            release,
            clock: Duration::ZERO,
            start: SystemTime::now(),
            table: Table::default(),
            expectations: BTreeMap::new(),
            ports: BTreeMap::new(),
            cpus: Cpus::new(1),
            timeouts: Timeouts::default(),
            user_helpers: Vec::new(),
            dying: Vec::new(),
            redelivery: None,
            faults: Faults::default(),
            last_port: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now::at(self.clock, self.start)
    }

    /// Carries out the requests of a datagram (`nfnetlink_rcv`, `netlink_rcv_skb`).
    pub(super) fn receive(&mut self, port: u32, mut datagram: &[u8]) {
        self.reap();
        self.cpus.next();
        let mut is_first = true;
        while let Some((header, message)) = split(datagram) {
            if std::mem::take(&mut is_first) {
                // The rights are checked once, and the other requests get no answer.
                if self.faults.is_denied() {
                    return self.acknowledge(port, message, EPERM, None);
                }
                if header.kind == BATCH_BEGIN {
                    return self.acknowledge(port, message, EOPNOTSUPP, None);
                }
            }
            let asked = header.flags & NLM_F_REQUEST != 0 && header.kind >= NLMSG_MIN_TYPE;
            let mut words = None;
            let outcome = match asked {
                true => self.act(port, header, message, &mut words),
                false => Ok(Outcome::Done),
            };
            match outcome {
                Ok(Outcome::Dumping) => {}
                Ok(Outcome::Done) if header.flags & NLM_F_ACK == 0 => {}
                Ok(Outcome::Done) => self.acknowledge(port, message, 0, words),
                Err(errno) => self.acknowledge(port, message, errno, words),
            }
            datagram = &datagram[align4(message.len()).min(datagram.len())..];
        }
    }

    fn act(
        &mut self,
        port: u32,
        header: Header,
        message: &[u8],
        words: &mut Option<Words>,
    ) -> Result<Outcome, i32> {
        let Some(&[.., family, version, _, _]) = message.first_chunk::<HEADERS>() else {
            return Ok(Outcome::Done);
        };
        let [subsystem, number] = header.kind.to_be_bytes();
        let (policy, last) = match (subsystem, number) {
            (CTNETLINK, 0..=7) => (attrs::FLOW, self.release.last_attribute),
            (CTNETLINK_EXP, 0..=3) => (attrs::EXPECT, u16::MAX),
            (TIMEOUT, 0..=4) if self.settings.timeouts => (attrs::TIMEOUT, u16::MAX),
            (CTHELPER, 0..=2) if self.settings.user_helpers => (attrs::HELPER, u16::MAX),
            _ => return Err(EINVAL),
        };
        // Requests for statistics ignore attributes.
        let attributes = match header.kind {
            0x0104..=0x0107 | 0x0203 => &[],
            _ => &message[HEADERS..],
        };
        let attrs = Attrs::parse_with_words(attributes, policy, last, self.release.value_policies);
        let (attrs, said) = attrs.map_err(|Refusal { errno, words: said }| {
            *words = said;
            errno
        })?;
        *words = said;
        let message = Message {
            kind: header.kind,
            flags: header.flags,
            seq: header.seq,
            family,
            version,
            port,
            attrs,
        };
        match header.kind {
            IPCTNL_MSG_CT_NEW => self.new_flow(&message),
            IPCTNL_MSG_CT_GET | IPCTNL_MSG_CT_GET_CTRZERO => self.get_flow(&message),
            IPCTNL_MSG_CT_DELETE => self.delete_flow(&message),
            IPCTNL_MSG_CT_GET_STATS => self.get_stats(&message),
            0x0104 => self.get_cpu_stats(&message),
            IPCTNL_MSG_CT_GET_DYING | IPCTNL_MSG_CT_GET_UNCONFIRMED => self.get_others(&message),
            0x0200 => self.new_expectation(&message),
            0x0201 => self.get_expectation(&message),
            0x0202 => self.delete_expectation(&message),
            IPCTNL_MSG_TIMEOUT_NEW => self.new_timeouts(&message),
            IPCTNL_MSG_TIMEOUT_GET => self.get_timeouts(&message),
            IPCTNL_MSG_TIMEOUT_DELETE => self.delete_timeouts(&message),
            IPCTNL_MSG_TIMEOUT_DEFAULT_SET => self.set_default_timeouts(&message),
            IPCTNL_MSG_TIMEOUT_DEFAULT_GET => self.get_default_timeouts(&message),
            NFNL_MSG_CTHELPER_NEW => self.new_user_helper(&message),
            NFNL_MSG_CTHELPER_GET => self.get_user_helper(&message),
            NFNL_MSG_CTHELPER_DEL => self.delete_user_helper(&message),
            _ => self.get_expectation_stats(&message),
        }
    }

    /// `netlink_ack`.
    fn acknowledge(&mut self, port: u32, message: &[u8], errno: i32, words: Option<Words>) {
        let Some(options) = self.ports.get(&port).map(|port| port.options) else {
            return;
        };
        let words = words.filter(|_| options.ext_ack);
        let capped = errno == 0 || options.cap_ack;
        let mut flags = if capped { NLM_F_CAPPED } else { 0 };
        if words.is_some() {
            flags |= NLM_F_ACK_TLVS;
        }
        let seq = split(message).map_or(0, |(header, _)| header.seq);
        let echoed = if capped {
            &message[..NLMSG_HEADER]
        } else {
            message
        };
        let bytes = frame(NLMSG_ERROR, flags, seq, port, |out| {
            out.extend_from_slice(&(-errno).to_ne_bytes());
            out.extend_from_slice(echoed);
            if let Some(words) = words {
                out.resize(align4(out.len()), 0);
                words.write(HEADERS, &mut Writer(out));
            }
        });
        let truesize = ACK + (bytes.len() - 36);
        self.answer(port, bytes, truesize);
    }

    /// The zone of a request, for both directions.
    pub(super) fn zone(&self, message: &Message<'_>) -> Result<Zone, i32> {
        match message.attrs.u16(CTA_ZONE) {
            Some(_) if !self.release.zones => Err(EOPNOTSUPP),
            id => Ok(Zone {
                id: id.unwrap_or(0),
                only: None,
            }),
        }
    }

    /// Does a flush apply its filter?
    pub(super) fn filters_flushes(&self) -> bool {
        self.release.filtered_flush == FilteredFlush::Applied
    }
}

#[derive(Debug, Clone, Copy)]
struct Header {
    kind: u16,
    flags: u16,
    seq: u32,
}

/// The first message, if its length is valid.
fn split(datagram: &[u8]) -> Option<(Header, &[u8])> {
    let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] =
        *datagram.first_chunk::<NLMSG_HEADER>()?;
    let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
    let message = datagram.get(..len).filter(|_| len >= NLMSG_HEADER)?;
    let header = Header {
        kind: u16::from_ne_bytes([k0, k1]),
        flags: u16::from_ne_bytes([f0, f1]),
        seq: u32::from_ne_bytes([s0, s1, s2, s3]),
    };
    Some((header, message))
}

/// A message of the kernel.
pub(super) fn frame(
    kind: u16,
    flags: u16,
    seq: u32,
    port: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut bytes = vec![0; NLMSG_HEADER];
    fill(&mut bytes);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
    bytes[12..16].copy_from_slice(&port.to_ne_bytes());
    bytes
}

/// A message of nfnetlink.
pub(super) fn netfilter(
    (kind, flags): (u16, u16),
    (seq, port): (u32, u32),
    (family, resource): (u8, u16),
    fill: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    frame(kind, flags, seq, port, |out| {
        out.extend_from_slice(&[family, 0]);
        out.extend_from_slice(&resource.to_be_bytes());
        fill(&mut Writer(out));
    })
}
