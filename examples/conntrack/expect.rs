//! The commands on expectations.

use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Family, FlowKey, NewExpectation, Tuple, TupleMask};
use futures::TryStreamExt;

use super::failure::{Failure, PREFIX, Result, of_expectation};
use super::line::Line;
use super::list::{printer, some};
use super::say;
use super::{summary, tuple};

const EINVAL: i32 = 22;

pub(crate) async fn list(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    let mut printer = printer(&mut line);
    let mut list = handle.expectations().list().await?;
    let mut shown = 0u64;
    // conntrack(8) uses IPv4 by default.
    let family = line.family.unwrap_or(Family::Ipv4);
    while let Some(expectation) = list.try_next().await? {
        if expectation.family() == family {
            printer.expectation(&expectation)?;
            shown += 1;
        }
    }
    printer.end("expect")?;
    summary(shown, "expectations have been shown");
    Ok(())
}

pub(crate) async fn get(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    let mut printer = printer(&mut line);
    let found = handle.expectations().get(key(&line)?).await;
    let found = found.map_err(of_expectation)?;
    let found = found.ok_or_else(|| Failure::errno(2))?;
    printer.expectation(&found)?;
    printer.flush()?;
    Ok(())
}

pub(crate) async fn create(handle: &ConntrackHandle, line: Line) -> Result<()> {
    let master = key(&line)?;
    let expected = tuple::of(&line.expected, &line).transpose()?;
    let expected = expected.ok_or_else(|| Failure::errno(EINVAL))?;
    let mut new = NewExpectation::new(FlowKey::orig(master), expected);
    let (src, port) = (line.mask.src, line.mask.src_port);
    let mask = TupleMask::new(&expected, src.unwrap_or(none(&expected)), port.unwrap_or(0));
    new = new.mask(mask.map_err(Failure::invalid)?);
    if let Some(seconds) = line.timeout {
        new = new.timeout(Duration::from_secs(seconds.into()));
    }
    let created = handle.expectations().create(new).await;
    created.map_err(|error| match error.is_not_found() {
        true => Failure::operation("master conntrack not found"),
        false => of_expectation(error),
    })
}

pub(crate) async fn delete(handle: &ConntrackHandle, line: Line) -> Result<()> {
    let deleted = handle.expectations().delete(key(&line)?).await;
    deleted.map_err(of_expectation)?;
    // conntrack(8) prints no count here.
    summary(0, "expectations have been shown");
    some(0)
}

pub(crate) async fn flush(handle: &ConntrackHandle) -> Result<()> {
    handle.expectations().flush().await?;
    say::err(format_args!("{PREFIX}expectation table has been emptied."));
    Ok(())
}

/// The tuple of `-s` and `-d`: the expectation's, or, for a create, the master's.
fn key(line: &Line) -> Result<Tuple> {
    let tuple = tuple::of(&line.orig, line).transpose()?;
    tuple.ok_or_else(|| Failure::errno(EINVAL))
}

fn none(tuple: &Tuple) -> IpAddr {
    match tuple.src() {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    }
}
