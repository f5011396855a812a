//! The requests that remove flows, as strace(1) shows them, because the kernel treats a delete
//! without a tuple as a flush. Without strace(1), only the tests of the requests' bytes remain.

use std::env;
use std::process::{Command, Stdio};

use ctnetlink::{Filter, FilterBuilder, IpNet, Labels, Masked, Patch, Table, TcpState};
use libtest_mimic::{Failed, Trial};

use super::compares_in_a_flush;
use crate::filter::truth::table;

const NAME: &str = "matching::sent::no_delete_is_a_flush";

pub(super) fn tests() -> Vec<Trial> {
    let traces = || {
        Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    // A process that is being traced cannot be traced by a second strace(1).
    match is_alone() || traces() {
        true => vec![Trial::test(NAME, no_delete_is_a_flush)],
        false => Vec::new(),
    }
}

fn is_alone() -> bool {
    env::var_os(crate::ALONE).is_some()
}

fn no_delete_is_a_flush() -> Result<(), Failed> {
    if is_alone() {
        crate::here(remove);
        return Ok(());
    }
    let traced = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=sendto,sendmsg",
            "-e",
            "signal=none",
        ])
        .args(["-e", "write=all"])
        .arg(env::current_exe()?)
        .args(["--exact", NAME, "--test-threads=1"])
        .env(crate::ALONE, "1")
        .output()?;
    if !traced.status.success() {
        return Err(String::from_utf8_lossy(&traced.stdout).into());
    }
    judge(&sent(&String::from_utf8_lossy(&traced.stderr)));
    Ok(())
}

const CT_NEW: u16 = 0x100;
const CT_DELETE: u16 = 0x102;
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const MARK: u16 = 8;
const ID: u16 = 12;
const MARK_MASK: u16 = 21;
const FILTER: u16 = 25;

/// Removes flows one by one, by conditions that the kernel does not compare in a flush. At the end
/// it removes flows by a mark, and then all.
async fn remove() {
    let (handle, _) = table().await;
    let net = |text: &str| text.parse::<IpNet>().expect("a prefix");
    let label = Labels::bit(3).expect("a label");
    let udp6 = Filter::builder().protocol(17).orig_src(net("fd00::/16"));
    let udp6 = udp6.build().expect("a filter");
    let conditions: [&dyn Fn(FilterBuilder) -> FilterBuilder; 8] = [
        &|b| b.orig_src(net("fd00:1::2/128")),
        &|b| b.reply_dst(net("fd00:4d::/32")),
        &|b| b.orig_dst(net("10.9.0.2/32")),
        &|b| b.protocol(6).orig_dst_port(443),
        &|b| b.protocol(17).reply_src_port(50..=60),
        &|b| b.labels(Masked::new(label, label)),
        &|b| b.tcp_state(TcpState::TIME_WAIT),
        &|b| b.not(udp6.clone()).orig_zone(5),
    ];
    for (n, add) in conditions.into_iter().enumerate() {
        let filter = add(Filter::builder()).build().expect("a filter");
        let patch = Patch::new().mark(9);
        let updated = handle.update_matching(filter.clone(), patch).await;
        assert!(updated.expect("a report").applied > 0, "{n}");
        match n % 2 {
            0 => assert!(
                handle
                    .delete_matching(filter)
                    .await
                    .expect("a report")
                    .applied
                    > 0
            ),
            _ => handle
                .flush(Table::Conntrack)
                .filter(filter)
                .await
                .expect("a flush"),
        }
    }
    let empty = handle.delete_matching(Filter::default()).await;
    empty.expect_err("an empty filter");
    let mark = Filter::builder().mark(0x10).build().expect("a filter");
    handle
        .flush(Table::Conntrack)
        .filter(mark)
        .await
        .expect("a flush");
    handle.flush(Table::Conntrack).await.expect("a flush");
}

/// A message: its type, and the attributes with their lengths.
#[derive(Debug)]
struct Message {
    kind: u16,
    version: u8,
    attributes: Vec<(u16, u16)>,
}

impl Message {
    fn has(&self, kind: u16) -> bool {
        self.attributes.iter().any(|(it, _)| *it == kind)
    }
}

fn judge(messages: &[Message]) {
    let updates = messages.iter().filter(|it| it.kind == CT_NEW);
    assert!(updates.count() > 640);
    let removals = messages.iter().filter(|it| it.kind == CT_DELETE);
    let (deletes, flushes): (Vec<_>, Vec<_>) =
        removals.partition(|it| it.has(TUPLE_ORIG) || it.has(TUPLE_REPLY));
    assert!(deletes.len() > 200, "{} deletes", deletes.len());
    for delete in deletes {
        assert!(delete.has(ID) && !delete.has(FILTER), "{delete:?}");
        // Flows with NAT too. Two addresses and a protocol are the minimum.
        assert!(delete.attributes[0] >= (TUPLE_REPLY, 36), "{delete:?}");
    }
    let [by_mark @ .., all] = &flushes[..] else {
        panic!("no flush");
    };
    assert_eq!((all.version, &all.attributes[..]), (1, &[][..]));
    assert_eq!(by_mark.len(), usize::from(compares_in_a_flush()));
    for flush in by_mark {
        let guarded = [(MARK, 8), (MARK_MASK, 8), (FILTER, 4)];
        assert_eq!((flush.version, &flush.attributes[..]), (1, &guarded[..]));
    }
}

/// The conntrack messages in strace's dumps of the sent data.
fn sent(trace: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut datagram = Vec::new();
    for line in trace.lines().chain([" | 00000 "]) {
        let Some(dump) = line.strip_prefix(" | ") else {
            continue;
        };
        if dump.starts_with("00000 ") {
            read(&datagram, &mut messages);
            datagram.clear();
        }
        let bytes = dump.get(7..56).unwrap_or_default().split_whitespace();
        datagram.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a byte")));
    }
    messages
}

fn read(mut datagram: &[u8], messages: &mut Vec<Message>) {
    let number = |bytes: &[u8]| u16::from_ne_bytes([bytes[0], bytes[1]]);
    let padded = |len: u16| usize::from(len).next_multiple_of(4);
    while datagram.len() >= 20 {
        let len = number(datagram);
        let (message, rest) = datagram.split_at(padded(len).min(datagram.len()));
        datagram = rest;
        let mut attributes = Vec::new();
        // A message with only a header requests nothing.
        let Some(mut left) = message.get(20..) else {
            continue;
        };
        while left.len() >= 4 {
            let len = number(left);
            attributes.push((number(&left[2..]) & 0x3fff, len));
            left = &left[padded(len).clamp(4, left.len())..];
        }
        let kind = number(&message[4..]);
        if kind >> 8 == 1 {
            let version = message[17];
            messages.push(Message {
                kind,
                version,
                attributes,
            });
        }
    }
}
