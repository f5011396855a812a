//! What each kernel does with one request and one flow, by the rules of the fake, for tests of the
//! requests that are sent. It parses the bytes of the request, and knows nothing about how they
//! were made.

use super::attrs::{self, Attrs};
use super::entry::Entry;
use super::machine::{Machine, Message};
pub(crate) use super::release::RELEASES;
use super::release::Release;
use super::restore::zone_of;
use super::tuple::{Tuple, icmp_attributes};
use crate::flow::{self, Flow};
use crate::wire::message::Frame;
use crate::wire::uapi::*;

/// A kernel: its release, and whether it is built with marks and with zones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) release: (u16, u16),
    pub(crate) marks: bool,
    pub(crate) zones: bool,
}

impl Kernel {
    /// A kernel with all features of the release.
    pub(crate) fn of(release: (u16, u16)) -> Self {
        Self {
            release,
            marks: true,
            zones: true,
        }
    }

    /// Each release: with all features, without marks, and without zones.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let builds = |release| {
            let whole = Self::of(release);
            let marks = Self {
                marks: false,
                ..whole
            };
            let zones = Self {
                zones: false,
                ..whole
            };
            [whole, marks, zones]
        };
        RELEASES.into_iter().flat_map(builds)
    }

    /// Does the dump return the flow? An errno if the kernel refuses the request.
    pub(crate) fn hands_over(&self, request: &[u8], flow: &Flow) -> Result<bool, i32> {
        let mut machine = self.machine();
        let message = message(&machine, request, IPCTNL_MSG_CT_GET)?;
        let filter = machine.filter(&message, message.family)?;
        let flow = entry(&mut machine, flow);
        Ok(filter.is_none_or(|filter| filter.matches(&flow)))
    }

    /// Does the request remove the flow? An errno if the kernel refuses the request, or if it names
    /// another flow.
    pub(crate) fn removes(&self, request: &[u8], flow: &Flow) -> Result<bool, i32> {
        let mut machine = self.machine();
        let flow = entry(&mut machine, flow);
        machine.table.insert(flow);
        let message = message(&machine, request, IPCTNL_MSG_CT_DELETE)?;
        machine.delete_flow(&message)?;
        Ok(machine.table.len() == 0)
    }

    fn machine(&self) -> Machine {
        Machine::new(Release {
            marks: self.marks,
            zones: self.zones,
            ..Release::of(self.release)
        })
    }
}

fn message<'a>(machine: &Machine, request: &'a [u8], kind: u16) -> Result<Message<'a>, i32> {
    let frame = Frame::first(request).expect("a message").expect("whole");
    assert_eq!(frame.kind, kind);
    let last = machine.release.last_attribute;
    Ok(Message {
        kind,
        flags: 0,
        seq: 1,
        family: request[16],
        version: request[17],
        port: 0,
        attrs: Attrs::parse(&request[20..], attrs::FLOW, last)?,
    })
}

/// The flow as a table entry, without the checks of a create.
fn entry(machine: &mut Machine, flow: &Flow) -> Entry {
    let tuples = [flow.orig, flow.reply].map(|tuple| raw(&machine.release, &tuple));
    let mut entry = machine.blank(tuples, zone_of(flow.zone));
    entry.id = flow.id.map_or(entry.id, u32::from);
    entry.status = flow.status.bits();
    entry.mark = flow.mark.unwrap_or(0);
    entry
}

fn raw(release: &Release, tuple: &flow::Tuple) -> Tuple {
    let address = |address| {
        let mut bytes = [0; 16];
        match address {
            std::net::IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            std::net::IpAddr::V6(address) => bytes = address.octets(),
        }
        bytes
    };
    let protocol = tuple.protocol().number();
    let (src_part, dst_part) = match tuple.icmp_echo() {
        Some(echo) if icmp_attributes(protocol).is_some() => {
            (echo.id(), u16::from_be_bytes([echo.kind(), echo.code()]))
        }
        _ if release.has_ports(protocol) => {
            (tuple.src_port().unwrap_or(0), tuple.dst_port().unwrap_or(0))
        }
        _ => (0, 0),
    };
    Tuple {
        family: tuple.family().number(),
        protocol,
        src: address(tuple.src()),
        dst: address(tuple.dst()),
        src_part,
        dst_part,
    }
}
