//! Expectations: flows that a helper or a request has announced.

use std::time::Duration;

use super::attrs::{self, Attrs};
use super::create::timeout;
use super::dump::What;
use super::entry::Entry;
use super::events::{EXPECT_DESTROY, EXPECT_NEW, IS_NEW};
use super::machine::{Machine, Message, Outcome, netfilter};
use super::tuple::{Tuple, WHOLE};
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

const MASTER: u16 = 1;
const TUPLE: u16 = 2;
const MASK: u16 = 3;
const TIMEOUT: u16 = 4;
const ID: u16 = 5;
const HELP_NAME: u16 = 6;
const ZONE: u16 = 7;
const FLAGS: u16 = 8;
const CLASS: u16 = 9;
const NAT: u16 = 10;
const FN: u16 = 11;
const NAT_DIR: u16 = 1;
const NAT_TUPLE: u16 = 2;

/// The port of the program that caused it, and whether it asked for an echo.
type Cause = (u32, bool);

/// For timeouts, and for the kernel itself.
const NO_PROGRAM: Cause = (0, false);

const USERSPACE: u32 = 4;
const KNOWN_FLAGS: u32 = 7;
const FUNCTIONS: [&[u8]; 2] = [b"nat-follow-master", b"sip"];

#[derive(Debug, Clone)]
pub(super) struct Expectation {
    pub(super) id: u32,
    /// The id of the master, its original tuple and its helper. They are copied, because the master
    /// may end first.
    pub(super) master: u32,
    of: Tuple,
    helper: Option<Vec<u8>>,
    pub(super) tuple: Tuple,
    pub(super) expires: Duration,
    mask: ([u8; 16], u16),
    zone: u16,
    flags: u32,
    class: u32,
    nat: Option<(u32, Tuple)>,
    function: Option<Vec<u8>>,
}

impl Expectation {
    /// Does it expect this tuple, by the bits of the mask in the source?
    fn expects(&self, tuple: &Tuple) -> bool {
        self.meets(tuple, self.mask)
    }

    /// Could a packet match both this and an expectation with that tuple and mask?
    fn overlaps(&self, tuple: &Tuple, (mask, part): ([u8; 16], u16)) -> bool {
        let mut both = mask;
        for (bits, own) in both.iter_mut().zip(self.mask.0) {
            *bits &= own;
        }
        self.meets(tuple, (both, part & self.mask.1))
    }

    /// Is the tuple equal to this one's, by the given bits of the source?
    fn meets(&self, tuple: &Tuple, (mask, part): ([u8; 16], u16)) -> bool {
        let address = self.tuple.src.iter().zip(tuple.src).zip(mask);
        let rest = Tuple {
            src: self.tuple.src,
            src_part: self.tuple.src_part,
            ..*tuple
        };
        address
            .into_iter()
            .all(|((own, given), mask)| (own ^ given) & mask == 0)
            && (self.tuple.src_part ^ tuple.src_part) & part == 0
            && rest == self.tuple
    }
}

impl Machine {
    fn expect_zone(&self, message: &Message<'_>) -> u16 {
        message.attrs.u16(ZONE).unwrap_or(0)
    }

    fn expect_tuple(&self, message: &Message<'_>, kind: u16) -> Result<Tuple, i32> {
        let given = message.attrs.get(kind).ok_or(EINVAL)?;
        Tuple::parse(&self.release, given, message.family, WHOLE, None)
    }

    fn find_expectation(&self, message: &Message<'_>, kind: u16) -> Result<Option<u32>, i32> {
        let tuple = self.expect_tuple(message, kind)?;
        let zone = self.expect_zone(message);
        let mut all = self.expectations.iter();
        let found = all.find(|(_, it)| it.zone == zone && it.expects(&tuple));
        Ok(found.map(|(number, _)| *number))
    }

    /// `ctnetlink_new_expect`.
    pub(super) fn new_expectation(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        if [TUPLE, MASK, MASTER]
            .iter()
            .any(|kind| !message.attrs.has(*kind))
        {
            return Err(EINVAL);
        }
        match self.find_expectation(message, TUPLE)? {
            Some(_) if message.flags & NLM_F_EXCL != 0 => return Err(EEXIST),
            Some(number) => {
                let clock = self.clock;
                let found = self.expectations.get_mut(&number);
                if let (Some(found), Some(seconds)) = (found, message.attrs.u32(TIMEOUT)) {
                    found.expires = clock + timeout(seconds);
                }
            }
            None if message.flags & NLM_F_CREATE == 0 => return Err(ENOENT),
            None => self.create_expectation(message)?,
        }
        Ok(Outcome::Done)
    }

    /// `ctnetlink_create_expect`.
    fn create_expectation(&mut self, message: &Message<'_>) -> Result<(), i32> {
        let given = &message.attrs;
        let tuple = self.expect_tuple(message, TUPLE)?;
        let mask = self.expect_tuple(message, MASK)?;
        let master = self.expect_tuple(message, MASTER)?;
        let zone = self.expect_zone(message);
        let of_both = super::tuple::Zone {
            id: zone,
            only: None,
        };
        let master = self.table.find(&master, of_both).ok_or(ENOENT)?;
        let master = self.table.get(master).ok_or(ENOENT)?;
        let help = master.help.as_ref().ok_or(EOPNOTSUPP)?;
        let class = self.expect_class(given, master)?;
        let name = help.name.as_deref();
        if name.is_none() && self.release.expectation_classes {
            return Err(EOPNOTSUPP);
        }
        let helper = name.and_then(|name| self.helper(name, master));
        let policies = helper.map_or(&[] as &[_], |helper| helper.policies);
        let policy = policies.get(class as usize);
        if helper.is_some() && policy.is_none() {
            return Err(EINVAL);
        }
        let flags = given.u32(FLAGS).unwrap_or(0);
        if flags & !KNOWN_FLAGS != 0 && self.release.value_policies {
            return Err(EINVAL);
        }
        let function = given.string(FN);
        if function.is_some_and(|name| !FUNCTIONS.contains(&name)) {
            return Err(EINVAL);
        }
        let nat = self.expect_nat(message)?;
        // Older kernels do not set the timer if the helper was removed: it ends at once.
        let without = name.is_none().then_some(&(usize::MAX, 0));
        let (most, seconds) = *policy.or(without).ok_or(EOPNOTSUPP)?;
        let helper = name.map(<[u8]>::to_vec);
        let (master, of) = (master.id, master.tuples[0]);
        let mask = (mask.src, mask.src_part);
        let mut others = self.expectations.values().filter(|it| it.zone == zone);
        if others.any(|it| it.overlaps(&tuple, mask)) {
            return Err(EBUSY);
        }
        // If the master has as many expectations as its helper allows, the oldest is removed.
        let same = |it: &Expectation| it.master == master && it.class == class;
        let mut older = self.expectations.iter().filter(|(_, it)| same(it));
        let oldest = older.next().map(|(number, _)| *number);
        if let Some(number) = oldest.filter(|_| older.count() + 1 >= most) {
            self.remove_expectation(number, NO_PROGRAM);
        }
        if self.expectations.len() >= self.settings.max_expectations as usize {
            return Err(EMFILE);
        }
        let expectation = Expectation {
            id: self.table.next_id(),
            master,
            of,
            helper,
            tuple,
            mask,
            expires: self.clock + Duration::from_secs(seconds),
            zone,
            flags: flags & !USERSPACE,
            class,
            nat,
            function: function.map(<[u8]>::to_vec),
        };
        self.cpus.count().expect_create += 1;
        let number = self
            .expectations
            .last_key_value()
            .map_or(0, |(last, _)| last + 1);
        self.expectations.insert(number, expectation.clone());
        let cause = (message.port, message.wants_echo());
        self.expect_event(&expectation, EXPECT_NEW, cause);
        Ok(())
    }

    /// The class: of the helper of the master, or, on older kernels, of the helper that the request
    /// names. They use 0 if it names none.
    fn expect_class(&self, given: &Attrs<'_>, master: &Entry) -> Result<u32, i32> {
        let class = given.u32(CLASS).unwrap_or(0);
        if self.release.expectation_classes {
            return Ok(class);
        }
        let Some(name) = given.string(HELP_NAME) else {
            return Ok(0);
        };
        let last = match self.helper(name, master) {
            Some(helper) => helper.policies.len() - 1,
            None if self.has_helper(name, master) => return Ok(class),
            None => return Err(EOPNOTSUPP),
        };
        if class as usize > last {
            return Err(EINVAL);
        }
        Ok(class)
    }

    fn expect_nat(&self, message: &Message<'_>) -> Result<Option<(u32, Tuple)>, i32> {
        let Some(nat) = message.attrs.nest(NAT, attrs::EXPECT_NAT)? else {
            return Ok(None);
        };
        let direction = nat.u32(NAT_DIR);
        if direction.is_some_and(|direction| direction > 1) && self.release.value_policies {
            return Err(ERANGE);
        }
        let direction = direction.ok_or(EINVAL)?;
        let tuple = nat.get(NAT_TUPLE).ok_or(EINVAL)?;
        let tuple = Tuple::parse(&self.release, tuple, message.family, WHOLE, None)?;
        Ok(Some((direction, tuple)))
    }

    /// `ctnetlink_get_expect`.
    pub(super) fn get_expectation(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        if message.is_dump() {
            if !given.has(MASTER) {
                return self.start_dump(message, What::Expectations(message.family, None));
            }
            let tuple = self.expect_tuple(message, MASTER)?;
            let id = self.expect_zone(message);
            let zone = super::tuple::Zone { id, only: None };
            let master = self.table.find(&tuple, zone).ok_or(ENOENT)?;
            let master = self.table.get(master).ok_or(ENOENT)?;
            if master.help.is_none() {
                // No dump begins, so there is no DONE message.
                return Ok(Outcome::Done);
            }
            let what = What::Expectations(message.family, Some(master.id));
            return self.start_dump(message, what);
        }
        let key = if given.has(TUPLE) { TUPLE } else { MASTER };
        let number = self.find_expectation(message, key)?.ok_or(ENOENT)?;
        let found = self.expectations.get(&number).ok_or(ENOENT)?;
        check_id(given, found.id)?;
        let ids = (message.seq, message.port);
        let bytes = self.show_expectation(found, (0x0200, NLM_F_MULTI), ids);
        self.answer(message.port, bytes, super::port::DATA);
        Ok(Outcome::Done)
    }

    /// `ctnetlink_del_expect`.
    pub(super) fn delete_expectation(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        if given.has(TUPLE) {
            let number = self.find_expectation(message, TUPLE)?.ok_or(ENOENT)?;
            let found = self.expectations.get(&number).ok_or(ENOENT)?;
            // Older kernels compare the id with another number.
            if given.has(ID) && !self.release.expectation_ids {
                return Err(ENOENT);
            }
            check_id(given, found.id)?;
            self.remove_expectation(number, (message.port, message.wants_echo()));
            return Ok(Outcome::Done);
        }
        let name = given.string(HELP_NAME);
        let all = self.expectations.iter();
        let met = all.filter(|(_, it)| name.is_none_or(|name| it.helper.as_deref() == Some(name)));
        let met: Vec<u32> = met.map(|(number, _)| *number).collect();
        for number in met {
            self.remove_expectation(number, (message.port, message.wants_echo()));
        }
        Ok(Outcome::Done)
    }

    pub(super) fn remove_expectations_of(&mut self, master: u32) {
        let all = self
            .expectations
            .iter()
            .filter(|(_, it)| it.master == master);
        let met: Vec<u32> = all.map(|(number, _)| *number).collect();
        for number in met {
            self.remove_expectation(number, NO_PROGRAM);
        }
    }

    pub(super) fn reap_expectations(&mut self) {
        let clock = self.clock;
        let all = self
            .expectations
            .iter()
            .filter(|(_, it)| it.expires <= clock);
        let met: Vec<u32> = all.map(|(number, _)| *number).collect();
        for number in met {
            self.remove_expectation(number, NO_PROGRAM);
        }
    }

    fn remove_expectation(&mut self, number: u32, cause: Cause) {
        if let Some(expectation) = self.expectations.remove(&number) {
            self.cpus.count().expect_delete += 1;
            self.expect_event(&expectation, EXPECT_DESTROY, cause);
        }
    }

    fn expect_event(&mut self, expectation: &Expectation, group: u32, (port, echo): Cause) {
        let head = match group {
            EXPECT_NEW => (0x0200, IS_NEW),
            _ => (0x0202, 0),
        };
        let bytes = self.show_expectation(expectation, head, (0, port));
        self.multicast(group, bytes, port, echo);
    }

    /// `ctnetlink_exp_fill_info`.
    pub(super) fn show_expectation(
        &self,
        expectation: &Expectation,
        head: (u16, u16),
        ids: (u32, u32),
    ) -> Vec<u8> {
        let Expectation { tuple, mask, .. } = expectation;
        let mask = Tuple {
            src: mask.0,
            src_part: mask.1,
            dst: [0xff; 16],
            dst_part: u16::MAX,
            ..*tuple
        };
        let left = expectation.expires.saturating_sub(self.clock).as_secs() as u32;
        netfilter(head, ids, (tuple.family, 0), |w| {
            let nest = |w: &mut Writer<'_>, kind, tuple: &Tuple| {
                w.nest(kind, |w| tuple.write(&self.release, w));
            };
            nest(w, TUPLE, tuple);
            nest(w, MASK, &mask);
            nest(w, MASTER, &expectation.of);
            if let Some((direction, tuple)) = &expectation.nat {
                w.nest(NAT, |w| {
                    w.put(NAT_DIR, direction);
                    let source = Tuple {
                        protocol: expectation.of.protocol,
                        dst: [0; 16],
                        dst_part: 0,
                        ..*tuple
                    };
                    nest(w, NAT_TUPLE, &source);
                });
            }
            w.put(TIMEOUT, &left);
            w.put(ID, &expectation.id);
            w.put(FLAGS, &expectation.flags);
            w.put(CLASS, &expectation.class);
            let names = [
                (HELP_NAME, expectation.helper.as_deref()),
                (FN, expectation.function.as_deref()),
            ];
            for (kind, name) in names {
                if let Some(name) = name {
                    let name: Vec<u8> = name.iter().copied().chain([0]).collect();
                    w.put(kind, &name.into_boxed_slice());
                }
            }
        })
    }
}

fn check_id(given: &Attrs<'_>, id: u32) -> Result<(), i32> {
    match given.u32(ID) {
        Some(wanted) if wanted != id => Err(ENOENT),
        _ => Ok(()),
    }
}
