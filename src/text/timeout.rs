//! The text of nfct(8) for timeout policies.

use std::fmt;

use crate::timeout::{TimeoutPolicy, Timeouts};

/// Writes what `nfct get timeout` (1.4.7) prints, without the last newline.
impl fmt::Display for TimeoutPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, ".{} = {{", self.name)?;
        if let Some(family) = self.family {
            writeln!(f, "\t.l3proto = {},", family.number())?;
        }
        writeln!(f, "\t.l4proto = {},", self.timeouts.protocol().number())?;
        writeln!(f, "\t.policy = {{")?;
        for (state, timeout) in self.timeouts.iter() {
            if let Some(timeout) = timeout {
                writeln!(f, "\t\t.{state} = {},", timeout.as_secs())?;
            }
        }
        write!(f, "\t}},\n}};")
    }
}

/// Writes `ESTABLISHED 3600 CLOSE 5`, the last arguments of `nfct add timeout NAME FAMILY
/// PROTOCOL`.
impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        for (state, timeout) in self.iter() {
            if let Some(timeout) = timeout {
                write!(f, "{blank}{state} {}", timeout.as_secs())?;
                blank = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::Family;
    use crate::timeout::{TcpTimeouts, TwoWayTimeouts};

    #[test]
    fn a_policy_reads_as_nfct_prints_it() {
        let timeouts = TcpTimeouts::new()
            .unacknowledged(Duration::from_secs(300))
            .syn_sent(Duration::from_secs(120));
        let policy = TimeoutPolicy::new("p1", Family::Ipv4, timeouts);
        assert_eq!(
            policy.to_string(),
            ".p1 = {\n\t.l3proto = 2,\n\t.l4proto = 6,\n\t.policy = {\n\t\t.SYN_SENT = 120,\n\
             \t\t.UNACKNOWLEDGED = 300,\n\t},\n};"
        );
        assert_eq!(
            policy.timeouts.to_string(),
            "SYN_SENT 120 UNACKNOWLEDGED 300"
        );
        let udp = Timeouts::Udp(TwoWayTimeouts::new().replied(Duration::from_secs(7)));
        assert_eq!(udp.to_string(), "REPLIED 7");
    }
}
