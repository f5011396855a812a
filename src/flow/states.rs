//! The states of protocols. Each is a number, and most have a name.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::wire::attr::Value;

/// Declares the states of a protocol: the constants have the names of conntrack(8) and the kernel's
/// numbers.
macro_rules! states {
    ($(#[$meta:meta])* $name:ident { $($(#[$state_meta:meta])* $state:ident = $n:literal;)+ }) => {
        $(#[$meta])*
        ///
        /// A newer kernel may have states without a constant here: their numbers are kept.
        /// `Display` writes the word of conntrack(8), or the number of a state without a word;
        /// `FromStr` reads both.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(u8);

        impl $name {
            $($(#[$state_meta])* pub const $state: Self = Self($n);)+

            /// The state with this number.
            pub const fn new(number: u8) -> Self {
                Self(number)
            }

            /// The kernel's number.
            pub const fn number(self) -> u8 {
                self.0
            }

            /// The word that conntrack(8) prints; `None` for a number without a name.
            pub const fn as_str(self) -> Option<&'static str> {
                match self {
                    $(Self::$state => Some(stringify!($state)),)+
                    _ => None,
                }
            }
        }

        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u8 {
            fn from(state: $name) -> Self {
                state.0
            }
        }

        /// Writes the word of conntrack(8), or the number of a state without a word.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.as_str() {
                    Some(word) => f.pad(word),
                    None => self.0.fmt(f),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// Reads the word, in upper or lower case, or the number.
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                if let Ok(number) = text.parse() {
                    return Ok(Self(number));
                }
                match text.to_ascii_uppercase().as_str() {
                    $(stringify!($state) => Ok(Self::$state),)+
                    _ => Err(Error::invalid_input(format!(
                        concat!("{:?} is not a ", stringify!($name)), text
                    ))),
                }
            }
        }

        impl Value for $name {
            const LEN: usize = 1;
            #[inline]
            fn read(payload: &[u8]) -> Option<Self> {
                u8::read(payload).map(Self)
            }
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
        }

        plain!($name);
    };
}

states! {
    /// The state of a TCP flow.
    TcpState {
        /// Made by a request, without a state.
        NONE = 0;
        /// A SYN was seen.
        SYN_SENT = 1;
        /// A SYN-ACK was seen.
        SYN_RECV = 2;
        /// The handshake is complete.
        ESTABLISHED = 3;
        /// One side has sent its FIN.
        FIN_WAIT = 4;
        /// The FIN was acknowledged.
        CLOSE_WAIT = 5;
        /// The other side has sent its FIN.
        LAST_ACK = 6;
        /// Both FINs were acknowledged.
        TIME_WAIT = 7;
        /// A reset was seen.
        CLOSE = 8;
        /// SYNs were seen from both sides (`TCP_CONNTRACK_LISTEN` in older kernels).
        SYN_SENT2 = 9;
    }
}

states! {
    /// The state of an SCTP flow.
    SctpState {
        /// Made by a request, without a state.
        NONE = 0;
        /// An INIT was seen.
        CLOSED = 1;
        /// An INIT-ACK is awaited.
        COOKIE_WAIT = 2;
        /// A COOKIE-ECHO was seen.
        COOKIE_ECHOED = 3;
        /// The association is established.
        ESTABLISHED = 4;
        /// One side has sent a SHUTDOWN.
        SHUTDOWN_SENT = 5;
        /// The other side has sent a SHUTDOWN.
        SHUTDOWN_RECD = 6;
        /// A SHUTDOWN-ACK was seen.
        SHUTDOWN_ACK_SENT = 7;
        /// A HEARTBEAT began the flow (a second path of an association).
        HEARTBEAT_SENT = 8;
        /// The HEARTBEAT was acknowledged (older kernels).
        HEARTBEAT_ACKED = 9;
    }
}

states! {
    /// The state of a DCCP flow.
    DccpState {
        /// Made by a request, without a state.
        NONE = 0;
        /// A Request was seen.
        REQUEST = 1;
        /// A Response was seen.
        RESPOND = 2;
        /// The client has acknowledged the Response.
        PARTOPEN = 3;
        /// The connection is established.
        OPEN = 4;
        /// The server asked to close.
        CLOSEREQ = 5;
        /// A Close was seen.
        CLOSING = 6;
        /// A Reset was seen.
        TIMEWAIT = 7;
        /// A packet to ignore.
        IGNORE = 8;
        /// An invalid packet.
        INVALID = 9;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_its_number() {
        assert_eq!(TcpState::from(3), TcpState::ESTABLISHED);
        for number in 0..=u8::MAX {
            let state = SctpState::new(number);
            assert_eq!(u8::from(state), number);
            assert_eq!(state.to_string().parse::<SctpState>().unwrap(), state);
            assert_eq!(number.to_string().parse::<SctpState>().unwrap(), state);
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        assert_eq!(
            "time_wait".parse::<TcpState>().unwrap(),
            TcpState::TIME_WAIT
        );
        assert_eq!(
            "PARTOPEN".parse::<DccpState>().unwrap(),
            DccpState::PARTOPEN
        );
        for word in ["", "OPENED", "256"] {
            let error = word.parse::<DccpState>().unwrap_err().to_string();
            assert!(error.contains(&format!("{word:?}")), "{error}");
        }
    }
}
