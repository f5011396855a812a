//! A flow to create.

use std::net::IpAddr;
use std::time::Duration;

use super::{Flow, Nat, Patch, Protocol, Rare, Status, TcpInfo, Tuple, Zone};
use crate::error::{Error, Result};
use crate::wire::attr::Writer;
use crate::wire::uapi::{CTA_NAT_DST, CTA_NAT_SRC};

/// A flow to create: its original tuple, its timeout and other settings.
///
/// A `NewFlow` from a [`&Flow`](Flow) creates that flow again, with its translation. The kernel
/// does not accept counters, timestamps, the data of a helper in user space or the state of a TCP
/// window: these are left out. The kernel derives a translation from
/// [`source_nat`](Self::source_nat) and [`destination_nat`](Self::destination_nat), not from a
/// translated reply tuple.
///
/// ```
/// # use std::time::Duration;
/// # use ctnetlink::{NewFlow, TcpState, Tuple};
/// let tuple = Tuple::tcp("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?)?;
/// let flow = NewFlow::new(tuple, Duration::from_secs(600))
///     .tcp_state(TcpState::ESTABLISHED)
///     .mark(7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use = "a flow is not created before it is sent"]
pub struct NewFlow {
    pub(super) orig: Tuple,
    pub(super) reply: Tuple,
    pub(super) zone: Zone,
    pub(super) master: Option<Tuple>,
    pub(super) source_nat: Option<Nat>,
    pub(super) destination_nat: Option<Nat>,
    pub(super) settings: Patch,
}

/// The timeout for a flow that is restored from an offloaded one, which has no timeout. It is the
/// kernel's timeout for an unreplied UDP flow.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(30);

settings! {
    setters! {
        NewFlow;
        /// Sets the state of a TCP flow, `--state`, with [`TcpInfo::liberal`] flags: the kernel
        /// does not know the flow's window.
        tcp_state = TcpInfo::liberal;
    }
}

settings! { getters! { NewFlow; } }

impl NewFlow {
    pub(crate) fn settings(&self) -> &Patch {
        &self.settings
    }

    fn settings_mut(&mut self) -> &mut Patch {
        &mut self.settings
    }

    /// A flow without translation, in zone 0.
    ///
    /// The kernel accepts a timeout of zero, but the flow expires at once and cannot be found.
    pub fn new(orig: Tuple, timeout: Duration) -> Self {
        Self {
            orig,
            reply: orig.inverse(),
            zone: Zone::default(),
            master: None,
            source_nat: None,
            destination_nat: None,
            settings: Patch::new().timeout(timeout),
        }
    }

    /// Sets the reply tuple, `-r` `-q`, if it is not the inverse of the original. This alone does not
    /// translate packets.
    pub fn reply(mut self, reply: Tuple) -> Self {
        self.reply = reply;
        self
    }

    /// Sets the zone, `-w`.
    pub fn zone(mut self, zone: impl Into<Zone>) -> Self {
        self.zone = zone.into();
        self
    }

    /// Sets the master: the original tuple of the flow that expected this one. It must be in the
    /// table, in the same zone.
    pub fn master(mut self, master: Tuple) -> Self {
        self.master = Some(master);
        self
    }

    /// Translates the source, `--src-nat`.
    pub fn source_nat(mut self, nat: Nat) -> Self {
        self.source_nat = Some(nat);
        self
    }

    /// Translates the destination, `--dst-nat`.
    pub fn destination_nat(mut self, nat: Nat) -> Self {
        self.destination_nat = Some(nat);
        self
    }

    /// Removes the helper, for example one that a [`&Flow`](Flow) had and this kernel lacks.
    pub fn without_helper(mut self) -> Self {
        self.settings.helper = None;
        self
    }

    /// Removes the master, for example one that a [`&Flow`](Flow) had and that is not in the table.
    pub fn without_master(mut self) -> Self {
        self.master = None;
        self
    }

    /// The reply tuple: the inverse of the original, unless it was set.
    pub fn get_reply(&self) -> &Tuple {
        &self.reply
    }

    /// The zone.
    pub fn get_zone(&self) -> Zone {
        self.zone
    }

    /// The original tuple of the master.
    pub fn get_master(&self) -> Option<&Tuple> {
        self.master.as_ref()
    }

    /// The translation of the source.
    pub fn get_source_nat(&self) -> Option<&Nat> {
        self.source_nat.as_ref()
    }

    /// The translation of the destination.
    pub fn get_destination_nat(&self) -> Option<&Nat> {
        self.destination_nat.as_ref()
    }

    /// The original tuple.
    pub fn orig(&self) -> &Tuple {
        &self.orig
    }

    pub(crate) fn key(&self) -> super::FlowKey {
        super::FlowKey::orig(self.orig).zone(self.zone)
    }

    pub(crate) fn has_master(&self) -> bool {
        self.master.is_some()
    }

    /// The key of its master, which is in the same zone.
    pub(crate) fn master_key(&self) -> Option<super::FlowKey> {
        Some(super::FlowKey::orig(self.master?).zone(self.zone))
    }

    pub(crate) fn has_helper(&self) -> bool {
        self.settings.sets_helper()
    }

    /// Returns `true` if the flow has the requested attributes. It ignores those that count down,
    /// and those that the kernel silently adds or leaves out.
    pub(crate) fn made(&self, flow: &Flow) -> bool {
        let translated = self.source_nat.is_some() || self.destination_nat.is_some();
        self.key().names(flow)
            && (translated || self.reply.agrees_with(&flow.reply))
            && self.master.as_ref() == flow.master()
            && self.settings.made(flow)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.reply.family() != self.orig.family() {
            return Err(Error::invalid_input(
                "reply: its family differs from the original tuple's",
            ));
        }
        if self.reply.protocol() != self.orig.protocol() {
            return Err(Error::invalid_input(
                "reply: its protocol differs from the original tuple's",
            ));
        }
        if self
            .master
            .is_some_and(|master| master.family() != self.orig.family())
        {
            return Err(Error::invalid_input(
                "master: its family differs from the original tuple's",
            ));
        }
        let translated = self.source_nat.is_some() || self.destination_nat.is_some();
        if translated && self.reply != self.orig.inverse() {
            return Err(Error::invalid_input(
                "reply: with NAT, the kernel makes the reply tuple; do not set it",
            ));
        }
        if let Some(nat) = &self.source_nat {
            nat.check(&self.orig, "source")?;
        }
        if let Some(nat) = &self.destination_nat {
            nat.check(&self.orig, "destination")?;
        }
        // In an update this removes the helper; a new flow has none.
        if self.get_helper().is_some_and(|name| name.is_empty()) {
            return Err(Error::invalid_input("helper: its name is empty"));
        }
        self.settings.check(self.orig.protocol())
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let cx = self.zone.context();
        Flow::orig.put(&self.orig, &cx, w);
        Flow::reply.put(&self.reply, &cx, w);
        Flow::zone.put_some(cx.zone.as_ref(), w);
        Rare::master.put_some(self.master.as_ref(), w);
        if let Some(nat) = &self.source_nat {
            nat.encode(CTA_NAT_SRC, w);
        }
        if let Some(nat) = &self.destination_nat {
            nat.encode(CTA_NAT_DST, w);
        }
        let status = self
            .settings
            .wanted_status()
            .map(|status| status | Status::CONFIRMED);
        self.settings.encode(status, w);
    }
}

impl From<Flow> for NewFlow {
    fn from(flow: Flow) -> Self {
        Self::from(&flow)
    }
}

impl From<&Flow> for NewFlow {
    fn from(flow: &Flow) -> Self {
        let mut new = Self::new(flow.orig, flow.timeout.unwrap_or(UNKNOWN_TIMEOUT)).zone(flow.zone);
        new.master = flow.master().copied();
        if flow.status.intersects(Status::SRC_NAT | Status::DST_NAT) {
            let expected = flow.orig.inverse();
            // The id of an ICMP query is the same in both directions. The kernel treats it as the
            // port of the source.
            new.source_nat = End::dst(&flow.reply).unless(End::dst(&expected));
            new.destination_nat = End::src(&flow.reply).unless(End::src(&expected));
        } else {
            // Something else than NAT (IPVS) may have changed it.
            new.reply = flow.reply;
        }

        let status = flow.status & Status::SETTABLE.difference(Status::HELPER);
        let mut settings = new.settings;
        if !status.is_empty() {
            settings = settings.status(status);
        }
        if let Some(mark) = flow.mark {
            settings = settings.mark(mark);
        }
        if let Some(labels) = flow.labels {
            settings = settings.labels(labels);
        }
        if let Some(protoinfo) = &flow.protoinfo {
            let protoinfo = protoinfo.without_window();
            if protoinfo.check(flow.orig.protocol()).is_ok() {
                settings = settings.protoinfo(protoinfo);
            }
        }
        if let Some(helper) = flow.helper() {
            settings = settings.helper(helper.name.clone());
        }
        if let Some(seqadj) = flow.seqadj_orig() {
            settings = settings.seqadj_orig(*seqadj);
        }
        if let Some(seqadj) = flow.seqadj_reply() {
            settings = settings.seqadj_reply(*seqadj);
        }
        if let Some(synproxy) = flow.synproxy {
            settings = settings.synproxy(synproxy);
        }
        Self { settings, ..new }
    }
}

/// One end of a tuple: address and port, or the id of an ICMP query at the client's end. GRE keys
/// are left out, because the kernel ignores them here.
#[derive(PartialEq)]
struct End(IpAddr, Option<u16>);

impl End {
    /// The translation to this end, unless the end is the expected one.
    fn unless(self, expected: Self) -> Option<Nat> {
        (self != expected).then(|| match self.1 {
            Some(port) => Nat::exactly(self.0).port(port),
            None => Nat::exactly(self.0),
        })
    }

    fn src(tuple: &Tuple) -> Self {
        Self(tuple.src(), port(tuple, tuple.src_port()))
    }

    fn dst(tuple: &Tuple) -> Self {
        let id = tuple.icmp_echo().map(|echo| echo.id());
        Self(tuple.dst(), port(tuple, tuple.dst_port()).or(id))
    }
}

fn port(tuple: &Tuple, port: Option<u16>) -> Option<u16> {
    port.filter(|_| tuple.protocol() != Protocol::GRE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel would silently ignore the key.
    #[test]
    fn nat_of_gre_has_addresses_alone() {
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let tuple = Tuple::gre(address(1), address(2), 5, 6).expect("a tuple");
        let new = || NewFlow::new(tuple, UNKNOWN_TIMEOUT);
        let nat = Nat::to(address(9));
        for (flow, end) in [
            (new().source_nat(nat.port(7)), "source NAT"),
            (new().destination_nat(nat.ports(7..=8)), "destination NAT"),
        ] {
            let error = flow.check().expect_err("a key");
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(end), "{error}");
        }
        new().source_nat(nat).check().expect("an address");

        let reply = Tuple::gre(address(2), address(9), 6, 5).expect("a tuple");
        let mut flow = Flow::new(tuple, reply);
        flow.status = Status::SRC_NAT;
        let again = NewFlow::from(&flow);
        again.check().expect("a flow to restore");
        assert_eq!(again.get_source_nat(), Some(&nat));
        assert_eq!(again.get_destination_nat(), None);
    }
}
