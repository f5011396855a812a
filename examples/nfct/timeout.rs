//! Timeout policies, and the namespace's own timeouts.

use std::io::{Write, stdout};
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Family, TimeoutPolicy, Timeouts};

use super::Command;
use super::failure::{Failure, Result};
use super::words::{family, number, protocol};

const EINVAL: i32 = 22;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;

/// A command line.
pub(crate) enum Asked {
    List,
    Add(TimeoutPolicy),
    Delete(String),
    Get(String),
    Flush,
    SetDefaults(Timeouts),
    Defaults(Family, Timeouts),
}

pub(crate) fn read(command: Command, words: &[&str]) -> Result<Asked> {
    match (command, words) {
        (Command::List, []) => Ok(Asked::List),
        (Command::Flush, []) => Ok(Asked::Flush),
        (Command::Add, [name, l3, l4, states @ ..]) => {
            let (family, timeouts) = (family(l3)?, timeouts(l4, states)?);
            if states.is_empty() {
                return Err(Failure::errno(EINVAL));
            }
            Ok(Asked::Add(TimeoutPolicy::new(*name, family, timeouts)))
        }
        (Command::Add, _) => Err(Failure::parameters(
            "add timeout name family protocol state1 timeout1 ...",
        )),
        (Command::Delete, [name]) => Ok(Asked::Delete((*name).into())),
        (Command::Get, [name]) => Ok(Asked::Get((*name).into())),
        (Command::Delete | Command::Get, []) => Err(Failure::new("missing timeout policy name")),
        (Command::DefaultSet, [l3, l4, states @ ..]) if !states.is_empty() => {
            family(l3)?;
            Ok(Asked::SetDefaults(timeouts(l4, states)?))
        }
        (Command::DefaultSet, _) => Err(Failure::parameters(
            "default-set timeout family protocol state1 timeout1...",
        )),
        (Command::DefaultGet, [l3, l4, ..]) => Ok(Asked::Defaults(family(l3)?, timeouts(l4, &[])?)),
        (Command::DefaultGet, _) => Err(Failure::parameters("default-get timeout family protocol")),
        (Command::Disable, _) => Err(Failure::new("Missing command").and(
            "nfct <list|add|delete|get|default-set|default-get|flush> timeout [<parameters>, ...]",
        )),
        (Command::List | Command::Flush | Command::Delete | Command::Get, _) => {
            Err(Failure::too_many())
        }
    }
}

/// Timeouts of a protocol: pairs of a state and seconds.
fn timeouts(word: &str, states: &[&str]) -> Result<Timeouts> {
    let mut timeouts = Timeouts::unset(protocol(word)?);
    for pair in states.chunks(2) {
        let [state, seconds] = pair else {
            return Err(Failure::new("missing value for this timeout"));
        };
        let seconds = Duration::from_secs(number(seconds).into());
        let wrong = |_| Failure::new(format!("Wrong state name: `{state}' for protocol `{word}'"));
        timeouts.set(state, seconds).map_err(wrong)?;
    }
    Ok(timeouts)
}

impl Asked {
    pub(crate) async fn carry_out(self, handle: &ConntrackHandle) -> Result<()> {
        let policies = handle.timeouts();
        let mut out = stdout().lock();
        match self {
            Self::List => {
                for policy in policies.list().await? {
                    writeln!(out, "{policy}")?;
                }
            }
            Self::Add(policy) => {
                policies
                    .create(policy)
                    .await
                    .map_err(|error| match error.is_already_exists() {
                        true => Failure::errno(EBUSY),
                        false => error.into(),
                    })?;
            }
            Self::Delete(name) => policies.delete(name).await?,
            Self::Get(name) => {
                let policy = policies.get(name).await?;
                writeln!(out, "{}", policy.ok_or_else(|| Failure::errno(ENOENT))?)?;
            }
            Self::Flush => policies.flush().await?,
            Self::SetDefaults(timeouts) => policies.set_defaults(timeouts).await?,
            Self::Defaults(family, timeouts) => {
                let timeouts = policies.defaults(timeouts.protocol()).await?;
                // In the form of a policy, without the line with the name.
                let text = TimeoutPolicy::new("", family, timeouts).to_string();
                let (_, text) = text.split_once('\n').unwrap_or_default();
                writeln!(out, "{text}")?;
            }
        }
        Ok(())
    }
}
