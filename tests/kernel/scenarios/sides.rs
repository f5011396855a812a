//! The two kernels that are compared: the running one and the fake one.

use std::fmt;
use std::{fs, io};

use ctnetlink::testing::{FakeSocket, Kernel};
use netlink_sys::{Socket, SocketAddr};

use super::bytes::{self, kind, message, split, without_own};
use super::requests::Request;

const BUFFER: usize = 32 * 1024;
/// All groups of flows and expectations.
const GROUPS: [u32; 5] = [1, 2, 3, 4, 6];
const NETFILTER: isize = 12;
const CPU_STATS: [u16; 2] = [0x0104, 0x0103];

pub(crate) trait Side {
    /// Sends a datagram, and returns all answers.
    fn exchange(&self, datagram: &[u8]) -> Vec<Vec<u8>>;

    /// The events that a listener has received meanwhile.
    fn heard(&self) -> Vec<Vec<u8>>;

    /// Removes all flows and expectations.
    fn clear(&self) {
        for kind in [0x0202, 0x0102, 0x0802] {
            self.exchange(&message(kind, 1, 1, &[0; 4]));
        }
        self.heard();
    }

    /// The counters, summed over all CPUs, by the type of their message.
    fn counters(&self) -> Vec<Vec<u8>> {
        const DUMP: u16 = 0x301;
        let asked = [0x0104, 0x0203].map(|kind| self.exchange(&message(kind, DUMP, 1, &[0; 4])));
        let told = asked.iter().flatten().flat_map(|datagram| split(datagram));
        let told = told.filter(|message| CPU_STATS.contains(&kind(message)));
        summed(told.map(<[u8]>::to_vec).collect(), &[])
    }
}

pub(crate) struct Real {
    asker: Socket,
    listener: Socket,
}

impl Real {
    /// Opens the real kernel in this thread's network namespace.
    pub(crate) fn open() -> Self {
        let open = || {
            let mut socket = Socket::new(NETFILTER)?;
            socket.bind_auto()?;
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            socket.set_non_blocking(true)?;
            io::Result::Ok(socket)
        };
        let [asker, listener] = [open(), open()].map(|socket| socket.expect("a socket"));
        for group in GROUPS {
            let mut listener = listener.add_membership(group);
            listener.as_mut().expect("a group");
        }
        Self { asker, listener }
    }
}

fn drain(socket: &Socket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut datagram = Vec::with_capacity(BUFFER);
        match socket.recv(&mut datagram, 0) {
            Ok(_) => all.push(datagram),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return all,
            Err(error) => panic!("receiving: {error}"),
        }
    }
}

impl Side for Real {
    fn exchange(&self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let kernel = SocketAddr::new(0, 0);
        self.asker.send_to(datagram, &kernel, 0).expect("a send");
        drain(&self.asker)
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        drain(&self.listener)
    }
}

pub(crate) struct Fake {
    asker: FakeSocket,
    listener: FakeSocket,
}

impl Fake {
    /// A kernel with the settings of this thread's network namespace.
    pub(crate) fn open() -> Self {
        let max = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
        let max = max.expect("nf_conntrack_max").trim().parse();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
        let kernel = Kernel::release(&release).expect("a release");
        let kernel = kernel.accounting(true).timestamps(true).labels(true);
        let kernel = kernel.events(1).max_flows(max.expect("a number")).build();
        let [asker, listener] = [kernel.socket(), kernel.socket()];
        for group in GROUPS {
            listener.join_group(group).expect("a group");
        }
        Self { asker, listener }
    }
}

fn drain_fake(socket: &FakeSocket) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| socket.receive_now().ok()).collect()
}

impl Side for Fake {
    fn exchange(&self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.asker.send(datagram).expect("a send");
        drain_fake(&self.asker)
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        drain_fake(&self.listener)
    }
}

/// The messages that one request caused: for its sender, and for the listener.
#[derive(PartialEq, Eq)]
pub(crate) struct Answers {
    asked: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
}

impl Answers {
    /// Several flows are sorted, because each side has its own order. The limits of datagrams and
    /// the number of CPUs do not count. Counters are the differences from those before.
    pub(super) fn of(
        request: &Request,
        [asked, heard]: [Vec<Vec<u8>>; 2],
        before: &[Vec<u8>],
    ) -> Self {
        let messages = |datagrams: &[Vec<u8>]| -> Vec<Vec<u8>> {
            let all = datagrams.iter().flat_map(|datagram| split(datagram));
            all.map(without_own).collect()
        };
        let [mut asked, mut heard] = [asked, heard].map(|all| messages(&all));
        if request.is_walk() {
            // The verdict or the end of the dump is the last message.
            let last = asked.len().saturating_sub(1);
            asked[..last].sort();
            heard.sort();
        }
        Self {
            asked: summed(asked, before),
            heard,
        }
    }
}

/// The counters, summed over all CPUs, minus those before.
fn summed(messages: Vec<Vec<u8>>, before: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut sums: Vec<Vec<u8>> = Vec::new();
    for message in messages {
        match sums.iter_mut().find(|it| kind(it) == kind(&message)) {
            Some(sum) if CPU_STATS.contains(&kind(&message)) => {
                each_counter(sum, &message, u32::wrapping_add);
            }
            _ => sums.push(message),
        }
    }
    for sum in &mut sums {
        if CPU_STATS.contains(&kind(sum)) {
            sum[18..20].fill(0);
            if let Some(before) = before.iter().find(|it| kind(it) == kind(sum)) {
                each_counter(sum, before, u32::wrapping_sub);
            }
        }
    }
    sums
}

fn each_counter(sum: &mut [u8], other: &[u8], f: fn(u32, u32) -> u32) {
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |it| u32::from_be_bytes(*it));
    let mut at = 20;
    bytes::each(&other[20..], |_, value| {
        let place = &mut sum[at + 4..at + 8];
        let total = f(number(place), number(value));
        place.copy_from_slice(&total.to_be_bytes());
        at += 8;
    });
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, messages) in [("answer", &self.asked), ("event", &self.heard)] {
            for message in messages {
                writeln!(
                    f,
                    "  {name} {:04x} {:02x?}",
                    kind(message),
                    &message[6..20.min(message.len())]
                )?;
                shown(f, message.get(20..).unwrap_or_default(), 4)?;
            }
        }
        Ok(())
    }
}

/// One line for each attribute.
fn shown(f: &mut fmt::Formatter<'_>, attrs: &[u8], indent: usize) -> fmt::Result {
    let mut lines = Vec::new();
    bytes::each(attrs, |kind, payload| lines.push((kind, payload.to_vec())));
    if lines.is_empty() && !attrs.is_empty() {
        return writeln!(f, "{:indent$}{attrs:02x?}", "");
    }
    for (kind, payload) in lines {
        writeln!(f, "{:indent$}{kind}: {payload:02x?}", "")?;
    }
    Ok(())
}
