//! The classes by which flows are counted.

use std::borrow::Cow;

use ctnetlink::{DccpState, Family, Flow, ProtoInfo, Protocol, SctpState, TcpState};

/// Family, protocol and state of a flow. There are at most a few thousand classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    is_v6: bool,
    protocol: Protocol,
    state: State,
}

/// The state of a flow whose protocol has states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    None,
    Tcp(TcpState),
    Sctp(SctpState),
    Dccp(DccpState),
}

impl Class {
    pub fn of(flow: &Flow) -> Self {
        Self {
            is_v6: flow.family() == Family::Ipv6,
            protocol: flow.orig.protocol(),
            state: State::of(flow),
        }
    }

    pub fn family(self) -> &'static str {
        match self.is_v6 {
            false => "ipv4",
            true => "ipv6",
        }
    }

    pub fn protocol(self) -> Cow<'static, str> {
        match self.protocol.as_str() {
            Some(name) => name.into(),
            None => self.protocol.to_string().into(),
        }
    }

    /// The name as in conntrack(8); empty if there is no state.
    pub fn state(self) -> Cow<'static, str> {
        let (word, number) = match self.state {
            State::None => return "".into(),
            State::Tcp(state) => (state.as_str(), u8::from(state)),
            State::Sctp(state) => (state.as_str(), u8::from(state)),
            State::Dccp(state) => (state.as_str(), u8::from(state)),
        };
        word.map_or_else(|| number.to_string().into(), Cow::from)
    }
}

impl State {
    fn of(flow: &Flow) -> Self {
        match &flow.protoinfo {
            Some(ProtoInfo::Tcp(info)) => Self::Tcp(info.state),
            Some(ProtoInfo::Sctp(info)) => Self::Sctp(info.state),
            Some(ProtoInfo::Dccp(info)) => Self::Dccp(info.state),
            _ => Self::None,
        }
    }
}
