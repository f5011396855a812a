//! A whole command line.

use std::net::IpAddr;

use ctnetlink::{EventKinds, Family, Filter, LabelMap, Labels, Status};

use super::condition;
use super::failure::{Failure, Result};
use super::lexer::{Lexer, Token};
use super::options::{self, Code, Given};
use super::output::Output;
use super::say;
use super::{protocol, values};

/// The table of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Table {
    #[default]
    Conntrack,
    Expect,
    Dying,
    Unconfirmed,
}

/// The given addresses and ports of one tuple.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) src: Option<IpAddr>,
    pub(crate) dst: Option<IpAddr>,
    pub(crate) src_port: Option<u16>,
    pub(crate) dst_port: Option<u16>,
}

impl Ends {
    /// Are both addresses given?
    pub(crate) fn whole(&self) -> bool {
        self.src.is_some() && self.dst.is_some()
    }
}

/// NAT: whether it is requested, and its target.
pub(crate) type Target = Option<Option<(IpAddr, Option<u16>)>>;

/// The parsed options.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The letter of the command.
    pub(crate) command: Option<Code>,
    pub(crate) table: Table,
    given: Given,
    pub(crate) protocol: Option<u8>,
    given_of_protocol: Given,
    pub(crate) family: Option<Family>,
    pub(crate) orig: Ends,
    pub(crate) reply: Ends,
    pub(crate) mask: Ends,
    pub(crate) expected: Ends,
    pub(crate) icmp_type: Option<u8>,
    pub(crate) icmp_code: Option<u8>,
    pub(crate) icmp_id: Option<u16>,
    pub(crate) state: Option<u8>,
    pub(crate) vtag_orig: Option<u32>,
    pub(crate) vtag_reply: Option<u32>,
    pub(crate) role: Option<u8>,
    pub(crate) timeout: Option<u32>,
    /// The bits to set, and the bits of the mask.
    pub(crate) status: Option<(Status, Status)>,
    /// Value and mask.
    pub(crate) mark: Option<(u32, u32)>,
    pub(crate) id: Option<u32>,
    pub(crate) source_nat: Target,
    pub(crate) destination_nat: Target,
    pub(crate) any_nat: Target,
    pub(crate) zone: Option<u16>,
    pub(crate) zone_orig: Option<u16>,
    pub(crate) zone_reply: Option<u16>,
    pub(crate) labels: Labels,
    pub(crate) labels_added: Labels,
    /// All kinds, if none is named.
    pub(crate) labels_removed: Labels,
    pub(crate) output: Output,
    pub(crate) kinds: EventKinds,
    pub(crate) buffer: Option<usize>,
    pub(crate) condition: Option<Filter>,
    label_map: Option<LabelMap>,
}

impl Line {
    pub(crate) fn read(arguments: &[&str]) -> Result<Self> {
        let mut line = Self::default();
        let mut lexer = Lexer::new(arguments);
        while let Some(token) = lexer.next()? {
            match token {
                Token::Command(code) => line.command(code, &mut lexer)?,
                Token::Option(code) => line.option(code, &mut lexer)?,
                Token::Protocol(code) => line.of_protocol(code, &mut lexer)?,
            }
        }
        line.check()?;
        Ok(line)
    }

    pub(crate) fn has(&self, code: Code) -> bool {
        self.given.contains(code)
    }

    fn command(&mut self, code: Code, lexer: &mut Lexer) -> Result<()> {
        if self.command.replace(code).is_some() {
            return Err(Failure::usage("Invalid commands combination"));
        }
        if let Some(name) = lexer.table(code) {
            self.table = table(&name)?;
        }
        if self.table == Table::Expect && matches!(code, 'A' | 'U') {
            let name = if code == 'A' { "add" } else { "update" };
            return Err(Failure::usage(format!("Can't do --{name} on expectations")));
        }
        Ok(())
    }

    fn option(&mut self, code: Code, lexer: &mut Lexer) -> Result<()> {
        if code == 'a' {
            // Accepted with any command, without effect.
            _ = lexer.value()?;
            say::err("WARNING: ignoring -a, deprecated option.");
            return Ok(());
        }
        self.given.push(code);
        match code {
            's' | 'd' => {
                let (address, mask) = values::network(&lexer.value()?)?;
                self.address(code, address)?;
                if let Some(mask) = mask {
                    let code = if code == 's' { '{' } else { '}' };
                    self.given.push(code);
                    self.address(code, mask)?;
                }
            }
            'r' | 'q' | '{' | '}' => {
                let text = lexer.value()?;
                if text.contains('/') {
                    let name = options::OPTIONS.iter().find(|(it, ..)| *it == code);
                    let name = name.map_or("", |(_, names, _)| names[0]);
                    return Err(Failure::usage(format!(
                        "CIDR notation unavailable for `--{name}'"
                    )));
                }
                self.address(code, values::address(&text)?)?;
            }
            '[' | ']' => {
                let (address, mask) = values::network(&lexer.value()?)?;
                self.address(code, address)?;
                if let Some(mask) = mask {
                    let code = if code == '[' { '{' } else { '}' };
                    self.given.push(code);
                    self.address(code, mask)?;
                }
            }
            'p' => {
                let number = protocol::number(&lexer.value()?)?;
                self.protocol = Some(number);
                lexer.protocol = number;
            }
            'f' => {
                let family = values::family(&lexer.value()?)?;
                self.of_family(family)?;
            }
            't' => self.timeout = Some(values::decimal(&lexer.value()?) as u32),
            'u' => {
                let (bits, counts) = values::status(&lexer.value()?)?;
                let before = self.status.unwrap_or((Status::empty(), Status::empty()));
                self.status = Some((bits | before.0, counts | before.1));
            }
            'm' => self.mark = Some(values::mark(&lexer.value()?)),
            'i' => self.id = Some(values::number(&lexer.value()?) as u32),
            'c' => _ = lexer.value()?,
            'z' => {}
            'e' => self.kinds = values::kinds(&lexer.value()?)?,
            'o' => self.output.add(&lexer.value()?)?,
            'b' => self.buffer = Some(values::decimal(&lexer.value()?) as usize),
            'w' => self.zone = Some(values::number(&lexer.value()?) as u16),
            '(' => self.zone_orig = Some(values::number(&lexer.value()?) as u16),
            ')' => self.zone_reply = Some(values::number(&lexer.value()?) as u16),
            'l' => {
                let labels = self.label(&lexer.value()?)?;
                self.labels |= labels;
            }
            '<' => {
                let labels = self.label(&lexer.value()?)?;
                self.labels_added |= labels;
            }
            '>' => {
                self.label_map();
                let labels = match lexer.maybe_value() {
                    Some(names) => self.label(&names)?,
                    None => Labels::ALL,
                };
                self.labels_removed |= labels;
            }
            'n' | 'g' | 'j' => self.nat(code, lexer)?,
            'W' => self.condition = Some(condition::read(&lexer.value()?)?),
            _ => {}
        }
        Ok(())
    }

    fn nat(&mut self, code: Code, lexer: &mut Lexer) -> Result<()> {
        let target = lexer.maybe_value();
        let target = target.map(|text| values::target(&text)).transpose()?;
        if let Some((address, _)) = target {
            self.of_family(family_of(address))?;
        }
        match code {
            'n' => self.source_nat = Some(target),
            'g' => self.destination_nat = Some(target),
            _ => self.any_nat = Some(target),
        }
        if self.any_nat.is_some() && (self.source_nat.is_some() || self.destination_nat.is_some()) {
            return Err(Failure::usage(
                "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'",
            ));
        }
        Ok(())
    }

    fn of_protocol(&mut self, code: Code, lexer: &mut Lexer) -> Result<()> {
        self.given_of_protocol.push(code);
        let text = lexer.value()?;
        let protocol = lexer.protocol;
        let port = match protocol {
            47 => values::number(&text) as u16,
            _ => values::decimal(&text) as u16,
        };
        match code {
            's' => self.orig.src_port = Some(port),
            'd' => self.orig.dst_port = Some(port),
            'r' => self.reply.src_port = Some(port),
            'q' => self.reply.dst_port = Some(port),
            'm' => self.mask.src_port = Some(port),
            'n' => self.mask.dst_port = Some(port),
            't' => self.expected.src_port = Some(port),
            'u' => self.expected.dst_port = Some(port),
            'S' => self.state = Some(values::state(protocol, &text)?),
            'v' => self.vtag_orig = Some(values::decimal(&text) as u32),
            'w' => self.vtag_reply = Some(values::decimal(&text) as u32),
            'R' => self.role = Some(values::role(&text)?),
            'T' => self.icmp_type = Some(port as u8),
            'C' => self.icmp_code = Some(port as u8),
            _ => self.icmp_id = Some(port),
        }
        Ok(())
    }

    fn address(&mut self, code: Code, address: IpAddr) -> Result<()> {
        self.of_family(family_of(address))?;
        let place = match code {
            's' => &mut self.orig.src,
            'd' => &mut self.orig.dst,
            'r' => &mut self.reply.src,
            'q' => &mut self.reply.dst,
            '{' => &mut self.mask.src,
            '}' => &mut self.mask.dst,
            '[' => &mut self.expected.src,
            _ => &mut self.expected.dst,
        };
        *place = Some(address);
        Ok(())
    }

    /// A line has only one family.
    fn of_family(&mut self, family: Family) -> Result<()> {
        match self.family.replace(family) {
            Some(before) if before != family => Err(Failure::usage("mismatched address family")),
            _ => Ok(()),
        }
    }

    /// The names of labels, read once.
    pub(crate) fn label_map(&mut self) -> &LabelMap {
        self.label_map.get_or_insert_with(|| {
            LabelMap::load().unwrap_or_else(|error| {
                let errno = std::io::Error::from_raw_os_error(error.errno().unwrap_or(2));
                let text = errno.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                say::err(format_args!("nfct_labelmap_new: {text}"));
                LabelMap::default()
            })
        })
    }

    fn label(&mut self, names: &str) -> Result<Labels> {
        let map = self.label_map();
        let mut labels = Labels::EMPTY;
        for name in names.split(',') {
            let unknown = || Failure::usage(format!("unknown label '{name}'"));
            labels |= map.labels([name]).map_err(|_| unknown())?;
        }
        Ok(labels)
    }

    fn check(&mut self) -> Result<()> {
        let Some(command) = self.command else {
            return Ok(());
        };
        let expectations = self.table == Table::Expect;
        let elsewhere = matches!(self.table, Table::Dying | Table::Unconfirmed);
        if elsewhere && command != 'L' && !matches!(command, 'V' | 'h') {
            return Err(Failure::usage(
                "Can't do that command with tables `dying' and `unconfirmed'",
            ));
        }
        let protocol = self.protocol.unwrap_or_default();
        options::check(
            command,
            expectations,
            self.given,
            protocol,
            self.given_of_protocol,
        )?;
        for (mask, of, name) in [('{', "s[", "src"), ('}', "d]", "dst")] {
            if self.has(mask) && !of.chars().any(|code| self.has(code)) {
                return Err(Failure::usage(format!(
                    "Can't use --mask-{name} without --{name}"
                )));
            }
        }
        let comparing = "sdrqpumn{}gcjwl()W";
        if self.has('z') && comparing.chars().any(|code| self.has(code)) {
            return Err(Failure::usage("Can't use -z with filtering parameters"));
        }
        Ok(())
    }
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

/// Finds a table by the beginning of its name.
fn table(text: &str) -> Result<Table> {
    let tables = [
        ("conntrack", Table::Conntrack),
        ("expect", Table::Expect),
        ("dying", Table::Dying),
        ("unconfirmed", Table::Unconfirmed),
    ];
    let found = tables.into_iter().find(|(name, _)| name.starts_with(text));
    found
        .map(|(_, table)| table)
        .ok_or_else(|| Failure::usage(format!("unknown type `{text}'")))
}
