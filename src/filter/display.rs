//! A filter in one line, for logs and errors.

use std::fmt::{self, Display, Formatter};

use super::Filter;
use super::conditions::{Conditions, Ends, NatKind};
use crate::flow::Protocol;

/// The conditions by the names of the builder's methods, `family=ipv4 protocol=tcp
/// orig_dst_port=443 mark=0x10/0xf0`; `all flows` where there is none.
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("all flows");
        }
        let mut line = Line { f, space: "" };
        line.conditions(&self.0)
    }
}

/// `source`, `destination`, `any` or `none`.
impl Display for NatKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Any => "any",
            Self::None => "none",
        })
    }
}

/// The line so far.
struct Line<'a, 'b> {
    f: &'a mut Formatter<'b>,
    space: &'static str,
}

impl Line<'_, '_> {
    fn conditions(&mut self, all: &Conditions) -> fmt::Result {
        self.some("family", &all.family)?;
        self.some("protocol", &all.protocol.map(Protocol::from))?;
        self.ends("orig", &all.orig)?;
        self.ends("reply", &all.reply)?;
        self.some("icmp_type", &all.icmp_type)?;
        self.some("icmp_code", &all.icmp_code)?;
        self.some("icmp_id", &all.icmp_id)?;
        self.some("zone", &all.zone)?;
        self.some("orig_zone", &all.orig_zone)?;
        self.some("reply_zone", &all.reply_zone)?;
        self.some("mark", &all.mark)?;
        self.some("labels", &all.labels)?;
        self.some("status", &all.status)?;
        self.some("nat", &all.any_nat.then_some(NatKind::Any))?;
        self.some("tcp_state", &all.tcp_state)?;
        self.some("sctp_state", &all.sctp_state)?;
        self.some("dccp_state", &all.dccp_state)?;
        self.flag("has_helper", all.has_helper)?;
        self.some("helper", &all.helper)?;
        self.flag("has_master", all.has_master)?;
        let master = all.master.as_ref();
        self.some("master", &master.map(|master| format!("({master})")))?;
        for filters in &all.any_of {
            self.filters("any_of", filters)?;
        }
        all.not
            .iter()
            .try_for_each(|filter| self.filters("not", std::slice::from_ref(filter)))
    }

    fn ends(&mut self, of: &str, ends: &Ends) -> fmt::Result {
        self.some(&format!("{of}_src"), &ends.src)?;
        self.some(&format!("{of}_dst"), &ends.dst)?;
        self.some(&format!("{of}_src_port"), &ends.src_port)?;
        self.some(&format!("{of}_dst_port"), &ends.dst_port)
    }

    fn some(&mut self, name: &str, value: &Option<impl Display>) -> fmt::Result {
        match value {
            Some(value) => self.part(format_args!("{name}={value}")),
            None => Ok(()),
        }
    }

    fn flag(&mut self, name: &str, there: bool) -> fmt::Result {
        match there {
            true => self.part(format_args!("{name}")),
            false => Ok(()),
        }
    }

    fn filters(&mut self, name: &str, filters: &[Filter]) -> fmt::Result {
        self.part(format_args!("{name}("))?;
        for (index, filter) in filters.iter().enumerate() {
            let or = if index == 0 { "" } else { " | " };
            write!(self.f, "{or}{filter}")?;
        }
        self.f.write_str(")")
    }

    fn part(&mut self, part: fmt::Arguments<'_>) -> fmt::Result {
        write!(self.f, "{}{part}", self.space)?;
        self.space = " ";
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::on;
    use super::*;
    use crate::flow::{Family, Labels, Masked, Status, Tuple};

    #[test]
    fn a_line() {
        let web = on(|b| b.protocol(6).orig_dst_port(443).orig_src_port(1024..));
        assert_eq!(
            web.to_string(),
            "protocol=tcp orig_src_port=1024-65535 orig_dst_port=443"
        );
        let tuple = Tuple::generic([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 89).unwrap();
        let bit = |n| Labels::bit(n).unwrap();
        let filter = on(|b| {
            b.family(Family::Ipv4)
                .reply_src("10.0.0.0/8".parse::<ipnet::IpNet>().unwrap())
                .mark(Masked::new(0x10, 0xf0))
                .has_labels(bit(3) | bit(4))
                .lacks_status(Status::ASSURED)
                .nat(NatKind::Any)
                .helper("ftp")
                .master(tuple)
                .any_of([web.clone(), on(|b| b.zone(5))])
                .not(on(|b| b.mark(7)))
        });
        assert_eq!(
            filter.to_string(),
            "family=ipv4 reply_src=10.0.0.0/8 mark=0x10/0xf0 labels={3,4}/{3,4} \
             status=UNSET/ASSURED nat=any helper=ftp master=(src=10.0.0.1 dst=10.0.0.2) \
             any_of(protocol=tcp orig_src_port=1024-65535 orig_dst_port=443 | zone=5) not(mark=0x7)"
        );
        assert_eq!(Filter::default().to_string(), "all flows");
    }
}
