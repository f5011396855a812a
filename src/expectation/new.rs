//! An expectation to create.

use std::time::Duration;

use super::key::put_zone;
use super::{Expectation, ExpectationFlags, ExpectationKey, ExpectationNat, TupleMask};
use crate::error::{Error, Result};
use crate::flow::helper::{HELPER_NAME, check_name, check_some_name};
use crate::flow::{FlowKey, Tuple};
use crate::wire::attr::Writer;
use crate::wire::table::Context;

/// The maximum length of a function's name in bytes, which is also the limit for decoding.
const FUNCTION_NAME: usize = 255;

/// An expectation to create: its master, the expected packet, and its settings.
///
/// Only a flow that has a helper can expect another. By default any source port matches
/// ([`mask`](Self::mask)), and the timeout is the helper's ([`timeout`](Self::timeout)).
///
/// ```
/// # use std::time::Duration;
/// # use ctnetlink::{NewExpectation, Tuple};
/// let control = Tuple::tcp("192.0.2.1:4000".parse()?, "192.0.2.2:21".parse()?)?;
/// let data = Tuple::tcp("192.0.2.2:0".parse()?, "192.0.2.1:10000".parse()?)?;
/// let expectation = NewExpectation::new(control, data).timeout(Duration::from_secs(30));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewExpectation {
    master: FlowKey,
    tuple: Tuple,
    mask: TupleMask,
    timeout: Option<Duration>,
    flags: Option<ExpectationFlags>,
    class: Option<u32>,
    nat: Option<ExpectationNat>,
    helper: Option<Box<str>>,
    function: Option<Box<str>>,
}

#[cfg(feature = "serde")]
keyed! {
    NewExpectation;
    [master: FlowKey, tuple: Tuple, mask: TupleMask,]
    [
        timeout: Option<Duration> as "crate::flow::text::seconds",
        flags: Option<ExpectationFlags>,
        class: Option<u32>,
        nat: Option<ExpectationNat>,
        helper: Option<Box<str>>,
        function: Option<Box<str>>,
    ]
}

impl NewExpectation {
    /// The flow `master` expects a flow with this tuple, from any source port.
    pub fn new(master: impl Into<FlowKey>, tuple: Tuple) -> Self {
        Self {
            master: master.into(),
            tuple,
            mask: TupleMask::any_src_port(&tuple),
            timeout: None,
            flags: None,
            class: None,
            nat: None,
            helper: None,
            function: None,
        }
    }

    /// Sets which bits of the tuple's source are compared.
    #[must_use]
    pub fn mask(mut self, mask: TupleMask) -> Self {
        self.mask = mask;
        self
    }

    /// Sets the timeout, in whole seconds, rounded up. Without it, the helper's timeout applies.
    /// The kernel ignores it in a create, so a second message sets it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the flags: [`PERMANENT`](ExpectationFlags::PERMANENT) and
    /// [`INACTIVE`](ExpectationFlags::INACTIVE).
    #[must_use]
    pub fn flags(mut self, flags: ExpectationFlags) -> Self {
        self.flags = Some(flags);
        self
    }

    /// Sets the class among those of the helper; without it, 0. Some kernels use 0 unless the
    /// [helper](Self::helper) is named too.
    #[must_use]
    pub fn class(mut self, class: u32) -> Self {
        self.class = Some(class);
        self
    }

    /// Sets how the expected flow is translated. It needs a [`function`](Self::function) that does
    /// this.
    #[must_use]
    pub fn nat(mut self, nat: ExpectationNat) -> Self {
        self.nat = Some(nat);
        self
    }

    /// Names the helper of the expected flow. Newer kernels ignore it, and use the master's helper.
    #[must_use]
    pub fn helper(mut self, name: impl Into<Box<str>>) -> Self {
        self.helper = Some(name.into());
        self
    }

    /// Names the kernel function that is called when the expected flow begins, such as
    /// `nat-follow-master`.
    #[must_use]
    pub fn function(mut self, name: impl Into<Box<str>>) -> Self {
        self.function = Some(name.into());
        self
    }

    /// The tuple that is expected.
    pub fn tuple(&self) -> &Tuple {
        &self.tuple
    }

    /// The flow that expects it.
    pub fn master(&self) -> &FlowKey {
        &self.master
    }

    /// The value that [`mask`](Self::mask) has set; by default, everything except the source port
    /// counts.
    pub fn get_mask(&self) -> &TupleMask {
        &self.mask
    }

    /// The value that [`timeout`](Self::timeout) has set.
    pub fn get_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The value that [`flags`](Self::flags) has set.
    pub fn get_flags(&self) -> Option<ExpectationFlags> {
        self.flags
    }

    /// The value that [`class`](Self::class) has set.
    pub fn get_class(&self) -> Option<u32> {
        self.class
    }

    /// The value that [`nat`](Self::nat) has set.
    pub fn get_nat(&self) -> Option<&ExpectationNat> {
        self.nat.as_ref()
    }

    /// The value that [`helper`](Self::helper) has set.
    pub fn get_helper(&self) -> Option<&str> {
        self.helper.as_deref()
    }

    /// The value that [`function`](Self::function) has set.
    pub fn get_function(&self) -> Option<&str> {
        self.function.as_deref()
    }

    pub(crate) fn key(&self) -> ExpectationKey {
        ExpectationKey::new(self.tuple).zone(self.master.zone_id())
    }

    /// Does it use features that a helper or a kernel may lack?
    pub(crate) fn needs_more(&self) -> bool {
        self.class.is_some() || self.function.is_some()
    }

    /// Refuses input that the kernel would refuse with a bare EINVAL, or misunderstand.
    pub(crate) fn check(&self) -> Result<()> {
        let (master, tuple, mask) = (self.master.tuple(), &self.tuple, self.mask.as_tuple());
        let family = master.family();
        if tuple.family() != family {
            return Err(Error::invalid_input(format!(
                "tuple: it is of {}, and its master of {family}",
                tuple.family()
            )));
        }
        let nat = self.nat.as_ref().map(|nat| &nat.tuple);
        if nat.is_some_and(|tuple| tuple.family() != family) {
            return Err(Error::invalid_input(format!("nat: it is not of {family}")));
        }
        if !mask.has_form_of(tuple) {
            return Err(Error::invalid_input(
                "mask: it was made for a tuple of another family or protocol",
            ));
        }
        let settable = ExpectationFlags::PERMANENT | ExpectationFlags::INACTIVE;
        if let Some(flags) = self.flags.filter(|flags| !settable.contains(*flags)) {
            return Err(Error::invalid_input(format!(
                "flags: a request can set PERMANENT and INACTIVE, and {:#x} was asked for",
                flags.bits()
            )));
        }
        if let Some(name) = &self.helper {
            check_name("helper", name, HELPER_NAME)?;
        }
        match &self.function {
            Some(name) => check_some_name("function", name, FUNCTION_NAME),
            None => Ok(()),
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        let cx = Context::default();
        Expectation::master.put(self.master.tuple(), &cx, w);
        Expectation::tuple.put(&self.tuple, &cx, w);
        Expectation::mask.put(&self.mask, &cx, w);
        put_zone(self.master.zone_id(), w);
        Expectation::flags.put_some(self.flags.as_ref(), w);
        Expectation::class.put_some(self.class.as_ref(), w);
        Expectation::nat.put_some(self.nat.as_ref(), w);
        Expectation::helper.put_some(self.helper.as_ref(), w);
        Expectation::function.put_some(self.function.as_ref(), w);
    }
}
