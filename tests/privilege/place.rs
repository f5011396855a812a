//! The level of this process.

use std::{env, fmt, fs};

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
/// The kernel's number of the initial user namespace.
const INITIAL: &str = "user:[4026531837]";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Root, or a privileged container.
    Privileged,
    /// Only `CAP_NET_ADMIN`.
    NetAdmin,
    /// An ordinary user.
    Rootless,
    /// All rights in a user namespace that is not the initial one.
    UserNamespace,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) level: Level,
    /// Is it in the initial user namespace?
    pub(crate) initial: bool,
    /// Did the caller start it in a network namespace that no one else uses?
    pub(crate) own: bool,
}

impl Place {
    /// Panics if it is not the place that `CTNETLINK_LEVEL` names.
    pub(crate) fn find() -> Self {
        let user = fs::read_link("/proc/self/ns/user").expect("a user namespace");
        let initial = user.as_os_str() == INITIAL;
        let found = match (has(CAP_NET_ADMIN), has(CAP_SYS_ADMIN)) {
            (true, true) if initial => Level::Privileged,
            (true, true) => Level::UserNamespace,
            (true, false) => Level::NetAdmin,
            (false, false) => Level::Rootless,
            (false, true) => panic!("CAP_SYS_ADMIN without CAP_NET_ADMIN: none of the levels"),
        };
        let meant = env::var("CTNETLINK_LEVEL").ok();
        let level = match meant.as_deref() {
            None => found,
            Some("privileged") => Level::Privileged,
            Some("net-admin") => Level::NetAdmin,
            Some("rootless") => Level::Rootless,
            Some(other) => panic!("CTNETLINK_LEVEL={other}: no such level"),
        };
        // An engine may itself run in a user namespace. Its containers then have no more rights.
        let rootless_engine = level == Level::Privileged && found == Level::UserNamespace;
        assert!(
            level == found || rootless_engine,
            "CTNETLINK_LEVEL means {level:?}, and the capabilities are those of {found:?}"
        );
        Self {
            level: found,
            initial,
            own: meant.is_some(),
        }
    }

    /// May it use ctnetlink in its network namespace?
    pub(crate) fn administers(self) -> bool {
        self.level != Level::Rootless
    }

    /// May it make network namespaces, and enter those of its user namespace?
    pub(crate) fn enters(self) -> bool {
        matches!(self.level, Level::Privileged | Level::UserNamespace)
    }

    /// May it exceed the limits of the machine?
    pub(crate) fn forces(self) -> bool {
        self.administers() && self.initial
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Privileged => "privileged",
            Level::NetAdmin => "net-admin: CAP_NET_ADMIN without CAP_SYS_ADMIN",
            Level::Rootless => "rootless: an ordinary user",
            Level::UserNamespace => "privileged within a user namespace",
        })?;
        match self.initial {
            true => Ok(()),
            false => f.write_str(", which is not the first"),
        }
    }
}

/// Is the capability effective?
fn has(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .expect("the effective capabilities");
    set & (1 << capability) != 0
}
