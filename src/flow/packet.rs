//! Conversions to and from the messages of netlink-packet-netfilter.

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_netfilter::conntrack::ConntrackMessage;

use super::Flow;
use crate::error::Error;
use crate::wire::attr::{Attributes, Writer};
use crate::wire::table::Context;
use crate::wire::uapi::IPCTNL_MSG_CT_NEW;

impl TryFrom<&ConntrackMessage> for Flow {
    type Error = Error;

    /// Decodes a flow from the attributes of the message.
    fn try_from(message: &ConntrackMessage) -> Result<Self, Error> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        Self::read(Attributes(&bytes), &mut Context::default())
            .map_err(|cause| Error::decode(cause, &bytes))
    }
}

impl TryFrom<&Flow> for ConntrackMessage {
    type Error = Error;

    /// The flow as the kernel would send it.
    fn try_from(flow: &Flow) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        flow.write(&flow.zone.context(), &mut Writer(&mut bytes));
        Self::parse_with_param(&bytes, IPCTNL_MSG_CT_NEW as u8)
            .map_err(|cause| Error::unpacked(cause, &bytes))
    }
}
