//! Builds a fake kernel: its release, and the settings of an administrator.

use super::kernel::Kernel;
use super::machine::Machine;
use super::release::{NEWEST, Release};
use super::stats::Cpus;
use crate::error::{Error, Result};

/// Settings of a [`Kernel`] before it is built. From [`Kernel::release`]; the default is release
/// 6.18.
#[derive(Debug)]
#[must_use = "nothing is made before build"]
pub struct KernelBuilder(Machine);

impl Default for KernelBuilder {
    fn default() -> Self {
        Self(Machine::new(Release::of(NEWEST)))
    }
}

impl KernelBuilder {
    pub(super) fn of(release: &str) -> Result<Self> {
        let version = Release::parse(release).ok_or_else(|| {
            let said = format!("the release {release:?} is none of Linux from 4.19 on");
            Error::invalid_input(said)
        })?;
        Ok(Self(Machine::new(Release::of(version))))
    }

    /// `nf_conntrack_acct`: whether flows count their packets. The default is `false`.
    pub fn accounting(mut self, on: bool) -> Self {
        self.0.settings.accounting = on;
        self
    }

    /// `nf_conntrack_timestamp`: whether flows have timestamps. The default is `false`.
    pub fn timestamps(mut self, on: bool) -> Self {
        self.0.settings.timestamps = on;
        self
    }

    /// Whether a rule uses labels, so that flows have room for them. The default is `false`.
    pub fn labels(mut self, on: bool) -> Self {
        self.0.settings.label_rule = on;
        self
    }

    /// `nf_conntrack_events`: 0, 1, or 2 (flows that begin while a program listens). The default is
    /// that of the release: 2 since 5.19, and 1 before.
    pub fn events(mut self, value: u8) -> Self {
        self.0.settings.events = value;
        self
    }

    /// `nf_conntrack_max`: the maximum number of flows. The default is 262 144.
    pub fn max_flows(mut self, flows: u32) -> Self {
        self.0.settings.max_flows = flows;
        self
    }

    /// The number of CPUs that have counters: at least one, which is the default. They take turns
    /// with the datagrams of requests.
    pub fn cpus(mut self, cpus: u16) -> Self {
        self.0.cpus = Cpus::new(cpus);
        self
    }

    /// `nf_conntrack_expect_max`: the maximum number of expectations. The default is 4096.
    pub fn max_expectations(mut self, expectations: u32) -> Self {
        self.0.settings.max_expectations = expectations;
        self
    }

    /// A kernel that is built without marks (`CONFIG_NF_CONNTRACK_MARK`): it ignores them.
    pub fn without_marks(mut self) -> Self {
        self.0.release.marks = false;
        self
    }

    /// A kernel that is built without zones (`CONFIG_NF_CONNTRACK_ZONES`): it refuses them.
    pub fn without_zones(mut self) -> Self {
        self.0.release.zones = false;
        self
    }

    /// A kernel that is built without timeout policies (`CONFIG_NF_CT_NETLINK_TIMEOUT`).
    pub fn without_timeout_policies(mut self) -> Self {
        self.0.settings.timeouts = false;
        self
    }

    /// A kernel that is built without helpers in user space (`CONFIG_NF_CT_NETLINK_HELPER`).
    pub fn without_user_helpers(mut self) -> Self {
        self.0.settings.user_helpers = false;
        self
    }

    /// Builds the kernel.
    pub fn build(self) -> Kernel {
        Kernel::of(self.0)
    }
}
