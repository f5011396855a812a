//! The release of the running kernel, for facts that no request can find out.

use nix::sys::utsname::uname;

use crate::error::{Error, Result};

/// A release of Linux, for example 6.18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release(pub(crate) u16, pub(crate) u16);

impl Release {
    pub(crate) fn running() -> Result<Self> {
        let uname = uname().map_err(|errno| Error::io("asking for the release", errno.into()))?;
        // A release that cannot be parsed counts as the oldest, which supports the least.
        Ok(uname
            .release()
            .to_str()
            .and_then(Self::parse)
            .unwrap_or(Self(0, 0)))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Self(
            numbers.next()?.parse().ok()?,
            numbers.next()?.parse().ok()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_distributions_make_of_it() {
        for (text, release) in [
            ("6.18.44", Some(Release(6, 18))),
            ("5.3-rc1", Some(Release(5, 3))),
            ("4.19.0-26-amd64", Some(Release(4, 19))),
            ("5.14.0-503.el9.x86_64+debug", Some(Release(5, 14))),
            ("", None),
            ("unknown", None),
        ] {
            assert_eq!(Release::parse(text), release, "{text:?}");
        }
        assert!(Release::running().unwrap() >= Release(4, 19));
    }
}
