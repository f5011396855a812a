//! `-C` and `-S`, `--doctor`.

use ctnetlink::{ConntrackHandle, Family, Severity};
use futures::TryStreamExt;

use super::failure::{Failure, Result};
use super::line::Table;
use super::say;

pub(crate) async fn count(handle: &ConntrackHandle, table: Table) -> Result<()> {
    match table {
        Table::Expect => {
            let mut list = handle.expectations().list().await?;
            let mut count = 0u64;
            while let Some(expectation) = list.try_next().await? {
                // Like -L.
                count += u64::from(expectation.family() == Family::Ipv4);
            }
            say::out(count)?;
        }
        _ => say::out(handle.stats().await?)?,
    }
    Ok(())
}

pub(crate) async fn per_cpu(handle: &ConntrackHandle, table: Table) -> Result<()> {
    match table {
        Table::Expect => {
            for cpu in handle.expectations().cpu_stats().await? {
                say::out(cpu)?;
            }
        }
        _ => {
            for cpu in handle.cpu_stats().await? {
                say::out(cpu)?;
            }
        }
    }
    Ok(())
}

/// Shows what is missing on this machine, and the cure. Not in conntrack(8).
pub(crate) async fn doctor(handle: &ConntrackHandle) -> Result<()> {
    let preflight = handle.preflight().await?;
    say::out(&preflight)?;
    match preflight.severity() {
        Severity::Error => Err(Failure::Nothing),
        _ => Ok(()),
    }
}
