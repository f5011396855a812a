//! Names that the kernel gives: helpers and security contexts.

use crate::error::{Error, Result};

attributes! {
    /// The connection tracking helper of a flow: it reads the payload and expects further flows.
    ///
    /// `CTA_HELP`.
    #[non_exhaustive]
    pub struct Helper {
        /// Its name: `ftp`, `sip`, …
        CTA_HELP_NAME [max 15] => name: Box<str>,
        /// The data that a helper in user space stores with the flow, up to 32 bytes (Linux 3.6).
        CTA_HELP_INFO [max 32] => info: Option<Box<[u8]>>,
    }
}

attributes! {
    /// The security context of a flow.
    ///
    /// `-o secctx`; `CTA_SECCTX` (Linux 2.6.38), if a security module is active that has contexts
    /// as text.
    #[non_exhaustive]
    pub struct SecCtx {
        /// The context, as the security module writes it.
        CTA_SECCTX_NAME [max 4095] => name: Box<str>,
    }
}

plain!(Box<str>);

impl Helper {
    /// A helper with this name, without private data.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            info: None,
        }
    }
}

impl SecCtx {
    /// A context, as the security module writes it.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into() }
    }
}

/// The longest name of a helper, in bytes.
pub(crate) const HELPER_NAME: usize = 15;

/// Refuses an invalid name. `what` names the part that has it.
pub(crate) fn check_some_name(what: &str, name: &str, longest: usize) -> Result<()> {
    check_name(what, name, longest)?;
    match name.is_empty() {
        true => Err(Error::invalid_input(format!("{what}: its name is empty"))),
        false => Ok(()),
    }
}

/// Refuses a name that the kernel would read as another name, or as no name. `what` names the part
/// that has it.
pub(crate) fn check_name(what: &str, name: &str, longest: usize) -> Result<()> {
    if name.contains('\0') {
        Err(Error::invalid_input(format!(
            "{what}: its name contains a NUL"
        )))
    } else if name.len() > longest {
        Err(Error::invalid_input(format!(
            "{what}: a name has at most {longest} bytes, but this one has {}",
            name.len()
        )))
    } else {
        Ok(())
    }
}
