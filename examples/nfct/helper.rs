//! Helpers in userspace, whose packets conntrackd(8) handles.

use std::io::{Write, stdout};
use std::time::Duration;

use ctnetlink::{ConntrackHandle, ExpectationPolicy, Family, Protocol, UserHelper, UserHelperKey};

use super::Command;
use super::failure::{Failure, Result};
use super::words::{family, helped};

const ENOENT: i32 = 2;

/// A helper of conntrackd(8).
struct Known {
    name: &'static str,
    protocols: &'static [Protocol],
    /// The maximum number of expectations per flow, and their timeout in seconds.
    max: u32,
    seconds: u64,
    /// The private data in bytes.
    private_data: u32,
}

const fn known(
    name: &'static str,
    protocols: &'static [Protocol],
    [max, seconds, private_data]: [u32; 3],
) -> Known {
    Known {
        name,
        protocols,
        max,
        seconds: seconds as u64,
        private_data,
    }
}

const TCP: &[Protocol] = &[Protocol::TCP];
const UDP: &[Protocol] = &[Protocol::UDP];
const BOTH: &[Protocol] = &[Protocol::TCP, Protocol::UDP];

const KNOWN: [Known; 10] = [
    known("amanda", UDP, [3, 180, 0]),
    known("dhcpv6", UDP, [1, 300, 0]),
    known("ftp", TCP, [1, 300, 24]),
    known("mdns", UDP, [8, 30, 0]),
    known("rpc", BOTH, [1, 300, 16]),
    known("sane", TCP, [1, 300, 4]),
    known("slp", UDP, [8, 16, 0]),
    known("ssdp", BOTH, [8, 300, 0]),
    known("tftp", UDP, [1, 300, 0]),
    known("tns", TCP, [1, 300, 1]),
];

/// Selects helpers.
pub(crate) struct Names {
    name: String,
    family: Option<Family>,
    protocol: Option<Protocol>,
}

/// A command line.
pub(crate) enum Asked {
    List,
    Add(UserHelper),
    Delete(Names),
    Get(Names),
    Flush,
    Disable(UserHelperKey),
}

/// `second` is the second word of the line, for messages.
pub(crate) fn read(command: Command, second: &str, words: &[&str]) -> Result<Asked> {
    match (command, words) {
        (Command::List, []) => Ok(Asked::List),
        (Command::Flush, []) => Ok(Asked::Flush),
        (Command::Add, [name, l3, l4, ..]) => Ok(Asked::Add(helper(name, l3, l4)?)),
        (Command::Add, _) => Err(Failure::parameters("add helper name family protocol")),
        (Command::Disable, [name, l3, l4, ..]) => Ok(Asked::Disable(helper(name, l3, l4)?.key)),
        (Command::Disable, _) => Err(Failure::parameters("disable helper name family protocol")),
        (Command::Delete | Command::Get, []) => Err(Failure::new("missing helper policy name")),
        (Command::Delete, _) => Ok(Asked::Delete(names(words)?)),
        (Command::Get, _) => Ok(Asked::Get(names(words)?)),
        (Command::List | Command::Flush, _) => Err(Failure::too_many()),
        (Command::DefaultSet | Command::DefaultGet, _) => {
            let unknown = Failure::new(format!("Unknown command: {second}"));
            let missing = unknown.and(format!("{}Missing command", super::PREFIX));
            Err(missing.and("nfct helper list|add|delete|disable|get|flush [parameters...]"))
        }
    }
}

fn names(words: &[&str]) -> Result<Names> {
    let [name, rest @ ..] = words else {
        return Err(Failure::new("missing helper policy name"));
    };
    if rest.len() > 2 {
        return Err(Failure::too_many());
    }
    Ok(Names {
        name: (*name).into(),
        family: rest.first().map(|word| family(word)).transpose()?,
        protocol: rest.get(1).map(|word| helped(word)).transpose()?,
    })
}

fn helper(name: &str, l3: &str, l4: &str) -> Result<UserHelper> {
    let (family, protocol) = (family(l3)?, helped(l4)?);
    let mut all = KNOWN.iter();
    let known = all.find(|it| it.name == name && it.protocols.contains(&protocol));
    let known = known.ok_or_else(|| Failure::new("that helper is not supported"))?;
    let policy = ExpectationPolicy::new(name, known.max, Duration::from_secs(known.seconds));
    let helper = UserHelper::new(name, family, protocol, [policy]);
    Ok(helper.private_data(known.private_data))
}

impl Names {
    /// The helpers that exist; it is a failure if there is none.
    async fn find(&self, handle: &ConntrackHandle) -> Result<Vec<UserHelper>> {
        let mut found = handle.user_helpers().list().await?;
        found.retain(|UserHelper { key, .. }| {
            *key.name == *self.name
                && (self.family.is_none() || key.family == self.family)
                && self
                    .protocol
                    .is_none_or(|protocol| key.protocol == protocol)
        });
        match found.is_empty() {
            true => Err(Failure::errno(ENOENT)),
            false => Ok(found),
        }
    }
}

impl Asked {
    pub(crate) async fn carry_out(self, handle: &ConntrackHandle) -> Result<()> {
        let helpers = handle.user_helpers();
        match self {
            Self::List => show(helpers.list().await?)?,
            Self::Get(names) => show(names.find(handle).await?)?,
            Self::Add(helper) => helpers.create(helper).await?,
            Self::Delete(names) => {
                for helper in names.find(handle).await? {
                    helpers.delete(&helper).await?;
                }
            }
            Self::Flush => helpers.flush().await?,
            Self::Disable(key) => {
                let helper = helpers.get(key).await?;
                let helper = helper.ok_or_else(|| Failure::errno(ENOENT))?;
                helpers.update(helper.enabled(false)).await?;
            }
        }
        Ok(())
    }
}

fn show(helpers: Vec<UserHelper>) -> Result<()> {
    let mut out = stdout().lock();
    for helper in helpers {
        let status = if helper.enabled {
            "enabled"
        } else {
            "disabled"
        };
        let family = helper.key.family.map_or(0, Family::number);
        writeln!(
            out,
            "{{\n\t.name = {},\n\t.queuenum = {},\n\t.l3protonum = {family},\n\t.l4protonum = {},\n\
             \t.priv_data_len = {},\n\t.status = {status},\n}};",
            helper.key.name,
            helper.queue,
            helper.key.protocol.number(),
            helper.private_data,
        )?;
    }
    Ok(())
}
