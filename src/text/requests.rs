//! Writes the parts of requests in one line, for logs, with the words of a flow's line and of the
//! setters.

use std::fmt;

use crate::flow::{Direction, FlowKey, Nat, NewFlow, Patch, ProtoInfo, SeqAdj, Tuple, Zone};

/// `tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443 zone=5 id=7`; a reply tuple follows the word
/// `reply`.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.direction() == Direction::Reply {
            f.write_str("reply ")?;
        }
        write!(f, "{}", Named(self.tuple()))?;
        some(f, "", zone(self.get_zone()))?;
        some(f, "id=", self.get_id())
    }
}

/// Writes the original tuple and the settings: `tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443
/// zone=5 timeout=600 mark=0x7`. Times are in seconds.
impl fmt::Display for NewFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Named(self.orig()))?;
        let reply = Some(self.get_reply()).filter(|it| **it != self.orig().inverse());
        some(f, "", reply.map(|reply| format!("reply=({reply})")))?;
        some(f, "", zone(self.get_zone()))?;
        let master = self.get_master().map(Named);
        some(f, "", master.map(|master| format!("master=({master})")))?;
        some(f, "source_nat=", self.get_source_nat().map(Target))?;
        some(
            f,
            "destination_nat=",
            self.get_destination_nat().map(Target),
        )?;
        write!(f, "{}", Settings(self.settings()))
    }
}

/// Writes the changes, `timeout=9 mark=0x10/0xf0`, with times in seconds; `nothing` if there are
/// none.
impl fmt::Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let text = Settings(self).to_string();
        f.write_str(text.trim_start())
    }
}

/// Writes a tuple after its protocol, as `FromStr` reads it.
struct Named<'a>(&'a Tuple);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.protocol(), self.0)
    }
}

/// Writes the target of NAT. Ports follow a comma, because an IPv6 address has colons.
struct Target<'a>(&'a Nat);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = self.0.get_addresses().into_inner();
        write!(f, "{min}")?;
        if min != max {
            write!(f, "-{max}")?;
        }
        match self.0.get_ports().map(|ports| ports.into_inner()) {
            Some((first, last)) if first == last => write!(f, ",{first}"),
            Some((first, last)) => write!(f, ",{first}-{last}"),
            None => Ok(()),
        }
    }
}

/// Writes the changes of a patch, each after a space.
struct Settings<'a>(&'a Patch);

impl fmt::Display for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patch = self.0;
        some(f, "helper=", patch.get_helper())?;
        let timeout = patch.get_timeout();
        some(f, "timeout=", timeout.map(std::time::Duration::as_secs_f64))?;
        some(f, "status=", patch.get_status())?;
        some(f, "state=", patch.get_protoinfo().map(state))?;
        some(f, "mark=", patch.get_mark())?;
        some(f, "seqadj_orig=", patch.get_seqadj_orig().map(shift))?;
        some(f, "seqadj_reply=", patch.get_seqadj_reply().map(shift))?;
        let synproxy = patch.get_synproxy();
        some(
            f,
            "synproxy=",
            synproxy.map(|it| format!("{}/{}/{}", it.isn, it.its, it.tsoff)),
        )?;
        some(f, "labels=", patch.get_labels())
    }
}

fn state(info: &ProtoInfo) -> String {
    match info {
        ProtoInfo::Tcp(info) => info.state.to_string(),
        ProtoInfo::Sctp(info) => info.state.to_string(),
        ProtoInfo::Dccp(info) => info.state.to_string(),
        ProtoInfo::Other => "other".into(),
    }
}

/// Writes the position, and the shifts before and after it.
fn shift(it: &SeqAdj) -> String {
    format!(
        "{}/{:+}/{:+}",
        it.correction_pos, it.offset_before, it.offset_after
    )
}

/// Zone 0 is not written.
fn zone(zone: Zone) -> Option<Zone> {
    Some(zone).filter(|zone| *zone != Zone::default())
}

fn some(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}{value}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::flow::{Labels, Masked, Status, SynProxy, TcpState};

    fn tuple() -> Tuple {
        "tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443"
            .parse()
            .unwrap()
    }

    #[test]
    fn a_key() {
        let text = "tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443";
        assert_eq!(FlowKey::orig(tuple()).to_string(), text);
        let key = FlowKey::reply(tuple()).zone(Zone::orig(5)).id(7.into());
        assert_eq!(key.to_string(), format!("reply {text} zone-orig=5 id=7"));
    }

    #[test]
    fn a_patch() {
        assert_eq!(Patch::new().to_string(), "nothing");
        let other = Patch::new().protoinfo(ProtoInfo::Other);
        assert_eq!(other.to_string(), "state=other");
        let adjusted = SeqAdj {
            correction_pos: 1,
            offset_before: -2,
            offset_after: 3,
        };
        let patch = Patch::new()
            .helper("ftp")
            .timeout(Duration::from_millis(1500))
            .status(Status::ASSURED)
            .tcp_state(TcpState::ESTABLISHED)
            .mark(Masked::new(0x10, 0xf0))
            .seqadj_orig(adjusted)
            .seqadj_reply(SeqAdj::default())
            .synproxy(SynProxy::default())
            .add_labels(Labels::bit(3).unwrap());
        assert_eq!(
            patch.to_string(),
            "helper=ftp timeout=1.5 status=ASSURED state=ESTABLISHED mark=0x10/0xf0 \
             seqadj_orig=1/-2/+3 seqadj_reply=0/+0/+0 synproxy=0/0/0 labels={3}/{3}"
        );
    }

    #[test]
    fn a_new_flow() {
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let flow = NewFlow::new(tuple(), Duration::from_secs(600));
        let text = "tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443";
        assert_eq!(flow.to_string(), format!("{text} timeout=600"));
        let translated = flow
            .clone()
            .zone(5)
            .master(tuple())
            .source_nat(Nat::to_any(address(7)..=address(9)).ports(1..=9))
            .destination_nat(Nat::to(address(8)).port(80))
            .mark(7);
        assert_eq!(
            translated.to_string(),
            format!(
                "{text} zone=5 master=({text}) source_nat=10.0.0.7-10.0.0.9,1-9 \
                 destination_nat=10.0.0.8,80 timeout=600 mark=0x7"
            )
        );
        assert_eq!(
            flow.reply(tuple()).to_string(),
            format!("{text} reply=(src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443) timeout=600")
        );
    }
}
