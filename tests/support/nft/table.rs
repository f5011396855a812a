//! Builds tables, and removes them.

use std::sync::atomic::{AtomicU32, Ordering};

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_netfilter::NetfilterProtoFamily as Family;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Expressions, Hook, InetHookNumber, ListAttribute,
    NfTablesMessage, RuleAttribute, RuleMessage, TableAttribute, TableMessage,
};

use super::batch::{Batch, Refused};
use super::expression::{NFT_OBJECT_CT_HELPER, number, string};

const NFTA_OBJ_TABLE: u16 = 1;
const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
const NFTA_OBJ_DATA: u16 = 4;

const NFTA_RULE_COMPAT_PROTO: u16 = 1;
const NFTA_RULE_COMPAT_FLAGS: u16 = 2;

const NFTA_FLOWTABLE_TABLE: u16 = 1;
const NFTA_FLOWTABLE_NAME: u16 = 2;
const NFTA_FLOWTABLE_HOOK: u16 = 3;
const NFTA_FLOWTABLE_HOOK_NUM: u16 = 1;
const NFTA_FLOWTABLE_HOOK_PRIORITY: u16 = 2;
const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;
const NFTA_DEVICE_NAME: u16 = 1;

const NFTA_CT_HELPER_NAME: u16 = 1;
const NFTA_CT_HELPER_L4PROTO: u16 = 3;

/// A table of rules in a network namespace. It exists until it is deleted, or the namespace ends.
#[derive(Debug)]
pub struct Table {
    family: Family,
    name: String,
}

impl Table {
    /// Removes the rules. Call it in the namespace where they were made.
    pub fn delete(self) -> Result<(), Refused> {
        let mut batch = Batch::default();
        let what = format!("to delete the table {}", self.name);
        let message = TableMessage {
            attributes: vec![TableAttribute::Name(self.name)],
        };
        batch.push(what, self.family, 0, NfTablesMessage::DeleteTable(message));
        batch.send()
    }
}

/// Where a chain is attached.
pub(super) struct Base {
    pub(super) kind: &'static str,
    pub(super) hook: InetHookNumber,
    pub(super) priority: i32,
}

/// A table with its content, before it is sent to the kernel.
pub(super) struct Draft {
    table: Table,
    batch: Batch,
}

impl Draft {
    /// A new table, whose name begins with `prefix`.
    pub(super) fn new(prefix: &str, family: Family) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::named(format!("{prefix}_{number}"), family)
    }

    /// A new table of exactly this name, which some targets of iptables need.
    pub(super) fn named(name: String, family: Family) -> Self {
        let table = Table { family, name };
        let message = TableMessage {
            attributes: vec![TableAttribute::Name(table.name.clone())],
        };
        let mut draft = Self {
            table,
            batch: Batch::default(),
        };
        draft.push(
            "the table",
            NLM_F_CREATE,
            NfTablesMessage::NewTable(message),
        );
        draft
    }

    pub(super) fn chain(&mut self, name: &str, base: Option<Base>) {
        let mut attributes = vec![
            ChainAttribute::Table(self.table.name.clone()),
            ChainAttribute::Name(name.to_owned()),
        ];
        if let Some(Base {
            kind,
            hook,
            priority,
        }) = base
        {
            let hook = vec![Hook::Number(hook.into()), Hook::Priority(priority as u32)];
            attributes.extend([
                ChainAttribute::Hook(hook),
                ChainAttribute::Type(kind.to_owned()),
            ]);
        }
        self.push(
            &format!("the chain {name}"),
            NLM_F_CREATE,
            NfTablesMessage::NewChain(ChainMessage { attributes }),
        );
    }

    pub(super) fn rule(&mut self, chain: &str, what: &str, expressions: Vec<Expressions>) {
        self.rule_with(chain, what, expressions, None);
    }

    /// A rule for packets of one protocol, which some targets of iptables need.
    pub(super) fn rule_of(&mut self, chain: &str, what: &str, protocol: u8, target: Expressions) {
        let compat = vec![
            number(NFTA_RULE_COMPAT_PROTO, protocol.into()),
            number(NFTA_RULE_COMPAT_FLAGS, 0),
        ];
        let compat = RuleAttribute::Compat(compat);
        self.rule_with(chain, what, vec![target], Some(compat));
    }

    fn rule_with(
        &mut self,
        chain: &str,
        what: &str,
        expressions: Vec<Expressions>,
        compat: Option<RuleAttribute>,
    ) {
        let mut attributes = vec![
            RuleAttribute::Table(self.table.name.clone()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(expressions.into_iter().map(ListAttribute::from).collect()),
        ];
        attributes.extend(compat);
        let message = NfTablesMessage::NewRule(RuleMessage { attributes });
        self.push(
            &format!("the rule \"{what}\" in {chain}"),
            NLM_F_CREATE | NLM_F_APPEND,
            message,
        );
    }

    /// A `ct helper` object of this name.
    pub(super) fn helper(&mut self, name: &str, protocol: u8) {
        let helper = [
            string(NFTA_CT_HELPER_NAME, name),
            DefaultNla::new(NFTA_CT_HELPER_L4PROTO, vec![protocol]),
        ];
        let attributes = vec![
            string(NFTA_OBJ_TABLE, &self.table.name),
            string(NFTA_OBJ_NAME, name),
            number(NFTA_OBJ_TYPE, NFT_OBJECT_CT_HELPER),
            nest(NFTA_OBJ_DATA, &helper),
        ];
        self.push(
            &format!("the ct helper {name}"),
            NLM_F_CREATE,
            NfTablesMessage::NewObject(attributes),
        );
    }

    /// A flow table of this name, for packets that arrive at the links.
    pub(super) fn flow_table(&mut self, name: &str, links: &[&str]) {
        let name_of = |link: &&str| string(NFTA_DEVICE_NAME, link);
        let devices: Vec<_> = links.iter().map(name_of).collect();
        let devices = nest(NFTA_FLOWTABLE_HOOK_DEVS, &devices);
        let hook = [
            number(NFTA_FLOWTABLE_HOOK_NUM, 0),
            number(NFTA_FLOWTABLE_HOOK_PRIORITY, 0),
            devices,
        ];
        let attributes = vec![
            string(NFTA_FLOWTABLE_TABLE, &self.table.name),
            string(NFTA_FLOWTABLE_NAME, name),
            nest(NFTA_FLOWTABLE_HOOK, &hook),
        ];
        self.push(
            &format!("the flow table {name}"),
            NLM_F_CREATE,
            NfTablesMessage::NewFlowTable(attributes),
        );
    }

    fn push(&mut self, what: &str, flags: u16, message: NfTablesMessage) {
        self.batch.push(
            format!("{what} (table {})", self.table.name),
            self.table.family,
            flags,
            message,
        );
    }

    pub(super) fn commit(self) -> Result<Table, Refused> {
        self.batch.send()?;
        Ok(self.table)
    }
}

fn nest(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut payload = vec![0; attributes.buffer_len()];
    attributes.emit(&mut payload);
    DefaultNla::new(kind | NLA_F_NESTED, payload)
}
