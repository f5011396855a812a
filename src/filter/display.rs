//! Writes a filter in one line, for logs and errors.

use std::fmt::{self, Display, Formatter};

use super::conditions::ROWS;
use super::{Filter, NatKind};

/// Writes the conditions, with the names of the builder's methods: `family=ipv4 protocol=tcp
/// orig_dst_port=443 mark=0x10/0xf0`. Writes `all flows` if there are none.
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("all flows");
        }
        let mut line = Line { f, space: "" };
        ROWS.iter()
            .try_for_each(|row| (row.show)(&self.0, &mut line))
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
pub(super) struct Line<'a, 'b> {
    f: &'a mut Formatter<'b>,
    space: &'static str,
}

impl Line<'_, '_> {
    pub(super) fn filters(&mut self, name: &str, filters: &[Filter]) -> fmt::Result {
        self.part(format_args!("{name}("))?;
        for (index, filter) in filters.iter().enumerate() {
            let or = if index == 0 { "" } else { " | " };
            write!(self.f, "{or}{filter}")?;
        }
        self.f.write_str(")")
    }

    pub(super) fn part(&mut self, part: fmt::Arguments<'_>) -> fmt::Result {
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
             status=UNSET/ASSURED any_nat helper=ftp master=(src=10.0.0.1 dst=10.0.0.2) \
             any_of(protocol=tcp orig_src_port=1024-65535 orig_dst_port=443 | zone=5) not(mark=0x7)"
        );
        assert_eq!(Filter::default().to_string(), "all flows");
    }
}
