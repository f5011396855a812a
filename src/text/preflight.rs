//! The report of a preflight, as text.

use std::cmp::Reverse;
use std::fmt;

use crate::preflight::{Check, Finding, Preflight, Severity};

/// Writes one line per finding, the worst first. A cure is on the line below its finding.
impl fmt::Display for Preflight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| Reverse(finding.severity));
        for (n, finding) in findings.into_iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

/// `[warning] tracking-ipv4: …`, and `          cure: …` below it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<9} {}: {}",
            format!("[{}]", self.severity),
            self.check,
            self.text
        )?;
        match &self.cure {
            Some(cure) => write!(f, "\n          cure: {cure}"),
            None => Ok(()),
        }
    }
}

/// `ok`, `note`, `warning` or `error`.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Writes one word: `right`, `tracking-ipv4`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Right => "right",
            Self::Ctnetlink => "ctnetlink",
            Self::CtTimeout => "cttimeout",
            Self::CtHelper => "cthelper",
            Self::TrackingIpv4 => "tracking-ipv4",
            Self::TrackingIpv6 => "tracking-ipv6",
            Self::Accounting => "accounting",
            Self::Timestamps => "timestamps",
            Self::Events => "events",
            Self::Labels => "labels",
            Self::ReceiveBuffer => "receive-buffer",
            Self::Limit => "limit",
            Self::Buckets => "buckets",
            Self::TcpLiberal => "tcp-liberal",
            Self::TcpLoose => "tcp-loose",
            Self::Filters => "filters",
            Self::Kernel => "kernel",
        })
    }
}
