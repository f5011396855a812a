//! The changes that a request makes to a flow.

use super::accounting::seconds;
use super::helper::{HELPER_NAME, check_name};
use super::{Flow, Helper, Labels, Masked, ProtoInfo, Protocol, Rare, Status};
use crate::error::{Error, Result};
use crate::wire::attr::Writer;
use crate::wire::table::Context;

settings! {
    settings_struct! {
        /// The changes to make to a flow.
        ///
        /// The kernel applies them in this order, and stops at the first that fails; those before it are
        /// kept: helper, timeout, status, protoinfo, mark, sequence adjustment, SYN proxy, labels.
        ///
        /// ```
        /// # use ctnetlink::{Labels, Masked, Patch};
        /// let patch = Patch::new().mark(Masked::new(0x10, 0xf0)).labels(Labels::bit(3)?);
        /// # Ok::<(), ctnetlink::Error>(())
        /// ```
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        #[must_use = "a patch changes nothing before it is sent"]
        Patch;
    }
}

settings! {
    setters! {
        Patch;
        /// Sets the state of a TCP flow, `--state`; its flags and scales stay.
        tcp_state = ProtoInfo::from;
    }
}

settings! { getters! { Patch; } }

impl Patch {
    fn settings(&self) -> &Self {
        self
    }

    fn settings_mut(&mut self) -> &mut Self {
        self
    }

    /// An empty patch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets these labels to this value, in addition to labels that were set before.
    pub(crate) fn change_labels(&mut self, value: Labels, labels: Labels) {
        let before = self
            .labels
            .unwrap_or(Masked::new(Labels::EMPTY, Labels::EMPTY));
        let after = Masked::new(value, labels).apply(before.value());
        self.labels = Some(Masked::new(after, before.mask() | labels));
    }

    #[inline]
    pub(crate) fn wanted_status(&self) -> Option<Status> {
        self.status
    }

    pub(crate) fn sets_labels(&self) -> bool {
        self.labels.is_some()
    }

    pub(crate) fn sets_helper(&self) -> bool {
        self.helper.is_some()
    }

    pub(crate) fn takes_helper(&self) -> bool {
        self.helper.as_deref() == Some("")
    }

    pub(crate) fn sets_timeout(&self) -> bool {
        self.timeout.is_some()
    }

    /// Refuses values that the kernel would ignore, truncate or misread.
    #[inline]
    pub(crate) fn check(&self, protocol: Protocol) -> Result<()> {
        self.check_values()?;
        match &self.protoinfo {
            Some(protoinfo) => protoinfo.check(protocol),
            None => Ok(()),
        }
    }

    /// The part of [`check`](Self::check) that does not depend on the flow.
    #[inline]
    pub(crate) fn check_values(&self) -> Result<()> {
        // Most patches have a mark.
        if self.mark.is_none() && self.is_empty() {
            return Err(Error::invalid_input("there is nothing to change"));
        }
        if let Some(timeout) = self.timeout {
            if seconds(timeout).is_none() {
                return Err(Error::invalid_input(format!(
                    "timeout: {timeout:?} is more than {} seconds",
                    u32::MAX
                )));
            }
        }
        if self.mark.is_some_and(|mark| mark.is_void()) {
            return Err(Error::invalid_input(
                "mark: the mask is empty, so nothing would change",
            ));
        }
        if self.labels.is_some_and(|labels| labels.is_void()) {
            return Err(Error::invalid_input(
                "labels: the mask is empty, so nothing would change",
            ));
        }
        if let Some(status) = self.status {
            let refused = status.difference(Status::SETTABLE | Status::CONFIRMED);
            if !refused.is_empty() || status.is_empty() {
                return Err(Error::invalid_input(format!(
                    "status: {refused} cannot be set; the bits that can be added are {}",
                    Status::SETTABLE
                )));
            }
        }
        match &self.helper {
            Some(name) => check_name("helper", name, HELPER_NAME),
            None => Ok(()),
        }
    }

    /// The changes that the kernel applies before the one with this name, in its order.
    pub(crate) fn made_before(&self, name: &str) -> Vec<&'static str> {
        let all = [
            ("helper", self.helper.is_some()),
            ("timeout", self.timeout.is_some()),
            ("status", self.status.is_some()),
            ("protoinfo", self.protoinfo.is_some()),
            ("mark", self.mark.is_some()),
            ("seqadj_orig", self.seqadj_orig.is_some()),
            ("seqadj_reply", self.seqadj_reply.is_some()),
            ("synproxy", self.synproxy.is_some()),
            ("labels", self.labels.is_some()),
        ];
        let before = all.into_iter().take_while(|(other, _)| *other != name);
        before
            .filter_map(|(other, there)| there.then_some(other))
            .collect()
    }

    /// Returns `true` if a flow that was created with this patch has the mark, the status, the
    /// state and the helper of the patch.
    pub(crate) fn made(&self, flow: &Flow) -> bool {
        let mark = self.mark.map_or(0, |mark| mark.value());
        let helper = || flow.helper().map(|helper| &helper.name);
        mark == flow.mark.unwrap_or(0)
            && self
                .status
                .is_none_or(|status| flow.status.contains(status))
            && self
                .helper
                .as_ref()
                .is_none_or(|name| Some(name) == helper())
            && match (&self.protoinfo, &flow.protoinfo) {
                (Some(ProtoInfo::Tcp(asked)), Some(ProtoInfo::Tcp(found))) => {
                    asked.state == found.state
                }
                _ => true,
            }
    }

    /// Writes the changes. `status` is the whole status to send, in place of the wanted bits.
    #[inline(always)]
    pub(crate) fn encode(&self, status: Option<Status>, w: &mut Writer<'_>) {
        if let Some(name) = &self.helper {
            let helper = Helper {
                name: name.clone(),
                info: None,
            };
            Rare::helper.put(&helper, &Context::default(), w);
        }
        Flow::timeout.put_some(self.timeout.as_ref(), w);
        Flow::status.put_some(status.as_ref(), w);
        Flow::protoinfo.put_some(self.protoinfo.as_ref(), w);
        match self.mark {
            // No mask means all bits.
            Some(mark) if mark.mask() == u32::MAX => Flow::mark.put_some(Some(&mark.value()), w),
            Some(mark) => Flow::mark.put_masked(&mark.value(), &mark.mask(), w),
            None => {}
        }
        Rare::seqadj_orig.put_some(self.seqadj_orig.as_ref(), w);
        Rare::seqadj_reply.put_some(self.seqadj_reply.as_ref(), w);
        Flow::synproxy.put_some(self.synproxy.as_ref(), w);
        if let Some(labels) = self.labels {
            Flow::labels.put_masked(&labels.value(), &labels.mask(), w);
        }
    }
}
