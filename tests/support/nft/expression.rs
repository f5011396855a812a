//! The expressions of the rules.

use std::net::IpAddr;

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Cmp, DataAttribute, Expressions, Immediate, Meta, MetaKey, Operator, Payload, Register,
};

use super::Port;

const TRANSPORT_HEADER: u32 = 2;

const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFTA_CT_DIRECTION: u16 = 3;
const NFTA_CT_SREG: u16 = 4;

const NFTA_NAT_TYPE: u16 = 1;
const NFTA_NAT_FAMILY: u16 = 2;
const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
const NFTA_NAT_REG_PROTO_MIN: u16 = 5;

const NFTA_OBJREF_IMM_TYPE: u16 = 1;
const NFTA_OBJREF_IMM_NAME: u16 = 2;

const NFTA_QUEUE_NUM: u16 = 1;
const NFTA_QUEUE_TOTAL: u16 = 2;

const NFTA_FLOW_TABLE_NAME: u16 = 1;

const NFTA_TARGET_NAME: u16 = 1;
const NFTA_TARGET_REV: u16 = 2;
const NFTA_TARGET_INFO: u16 = 3;

pub(super) const NFT_OBJECT_CT_HELPER: u32 = 3;

/// What a `ct` expression reads or writes (`NFT_CT_*`).
#[derive(Clone, Copy)]
pub(super) enum CtKey {
    State = 0,
    Mark = 3,
    Labels = 13,
    Zone = 17,
    EventMask = 18,
}

/// `NFT_NAT_*`.
#[derive(Clone, Copy)]
pub(super) enum Nat {
    Source = 0,
    Destination = 1,
}

/// The packet goes to this port.
pub(super) fn to_port(port: Port) -> Vec<Expressions> {
    port_is(port, 2)
}

/// The packet comes from this port.
pub(super) fn from_port(port: Port) -> Vec<Expressions> {
    port_is(port, 0)
}

fn port_is(port: Port, offset: u32) -> Vec<Expressions> {
    vec![
        Expressions::Meta(vec![
            Meta::Key(MetaKey::L4Proto),
            Meta::DestinationRegister(Register::Reg1),
        ]),
        equals(vec![port.protocol()]),
        Expressions::Payload(vec![
            Payload::DestinationRegister(Register::Reg1),
            Payload::Base(TRANSPORT_HEADER),
            Payload::Offset(offset),
            Payload::Len(2),
        ]),
        equals(port.number().to_be_bytes().to_vec()),
    ]
}

pub(super) fn equals(value: Vec<u8>) -> Expressions {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::Equal),
        Cmp::Data(DataAttribute::Value(value)),
    ])
}

fn load(register: Register, value: Vec<u8>) -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(register),
        Immediate::Data(DataAttribute::Value(value)),
    ])
}

pub(super) fn get_ct(key: CtKey) -> Expressions {
    other(
        "ct",
        vec![
            number(NFTA_CT_KEY, key as u32),
            number(NFTA_CT_DREG, Register::Reg1.into()),
        ],
    )
}

pub(super) fn set_ct(key: CtKey, value: &[u8]) -> Vec<Expressions> {
    let attributes = vec![
        number(NFTA_CT_KEY, key as u32),
        number(NFTA_CT_SREG, Register::Reg1.into()),
    ];
    vec![
        load(Register::Reg1, value.to_vec()),
        other("ct", attributes),
    ]
}

/// [`set_ct`] for the original direction only.
pub(super) fn set_ct_original(key: CtKey, value: &[u8]) -> Vec<Expressions> {
    let original = DefaultNla::new(NFTA_CT_DIRECTION, vec![0]);
    let mut expressions = set_ct(key, value);
    if let Some(Expressions::Other { attributes, .. }) = expressions.last_mut() {
        attributes.push(original);
    }
    expressions
}

pub(super) fn nat(kind: Nat, family: u8, address: IpAddr, port: u16) -> Vec<Expressions> {
    let address = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let attributes = vec![
        number(NFTA_NAT_TYPE, kind as u32),
        number(NFTA_NAT_FAMILY, family.into()),
        number(NFTA_NAT_REG_ADDR_MIN, Register::Reg1.into()),
        number(NFTA_NAT_REG_PROTO_MIN, Register::Reg2.into()),
    ];
    vec![
        load(Register::Reg1, address),
        load(Register::Reg2, port.to_be_bytes().to_vec()),
        other("nat", attributes),
    ]
}

/// Applies a `ct helper` object of the table.
pub(super) fn use_helper(object: &str) -> Expressions {
    let attributes = vec![
        number(NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_CT_HELPER),
        string(NFTA_OBJREF_IMM_NAME, object),
    ];
    other("objref", attributes)
}

/// Waits for the verdict of the program that reads this queue.
pub(super) fn queue(number: u16) -> Expressions {
    let be16 = |kind, value: u16| DefaultNla::new(kind, value.to_be_bytes().to_vec());
    let attributes = vec![be16(NFTA_QUEUE_NUM, number), be16(NFTA_QUEUE_TOTAL, 1)];
    other("queue", attributes)
}

/// Adds the flow to the flow table of this name.
pub(super) fn offload(table: &str) -> Expressions {
    other("flow_offload", vec![string(NFTA_FLOW_TABLE_NAME, table)])
}

pub(super) fn notrack() -> Expressions {
    other("notrack", Vec::new())
}

/// `-j CT --timeout NAME` of iptables, for which nftables has no expression: `xt_ct_target_info_v1`.
pub(super) fn ct_timeout(policy: &str) -> Expressions {
    const TIMEOUT: usize = 2 + 2 + 4 + 4 + 16;
    const ALIGNED: usize = 64;
    let mut info = vec![0; ALIGNED + size_of::<u64>()];
    info[TIMEOUT..][..policy.len()].copy_from_slice(policy.as_bytes());
    let attributes = vec![
        string(NFTA_TARGET_NAME, "CT"),
        number(NFTA_TARGET_REV, 1),
        DefaultNla::new(NFTA_TARGET_INFO, info),
    ];
    other("target", attributes)
}

pub(super) fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

pub(super) fn string(kind: u16, value: &str) -> DefaultNla {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    DefaultNla::new(kind, bytes)
}

fn other(name: &str, attributes: Vec<DefaultNla>) -> Expressions {
    Expressions::Other {
        expression_type: name.to_owned(),
        attributes,
    }
}
