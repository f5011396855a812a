//! Prints flows and expectations in the format of `-o`.

use std::fmt::Display;
use std::io::{self, BufWriter, Stdout, Write};
use std::time::SystemTime;

use ctnetlink::{Event, Expectation, Flow, LabelMap};

use super::date::Date;
use super::output::Output;
use super::{process, save, xml};

pub(crate) struct Printer {
    out: BufWriter<Stdout>,
    output: Output,
    labels: LabelMap,
    /// Was the start of the document printed?
    begun: bool,
}

impl Printer {
    pub(crate) fn new(output: Output, labels: LabelMap) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, io::stdout()),
            output,
            labels,
            begun: false,
        }
    }

    /// Prints a flow of a list.
    pub(crate) fn flow(&mut self, flow: &Flow) -> io::Result<()> {
        self.begin("conntrack")?;
        self.line("-A", flow)?;
        self.out.write_all(b"\n")
    }

    /// Prints a flow that was changed, without the start of a document and without timestamps.
    pub(crate) fn changed_flow(&mut self, command: &str, flow: &Flow) -> io::Result<()> {
        let output = self.output;
        self.output.ktimestamp = false;
        let done = self.line(command, flow);
        self.output = output;
        done?;
        self.out.write_all(b"\n")
    }

    /// Prints a flow after a sign, without the start of a document.
    pub(crate) fn signed_flow(&mut self, sign: char, flow: &Flow) -> io::Result<()> {
        write!(self.out, "{sign} ")?;
        self.flow_in_row(flow)
    }

    /// Prints a flow inside a document.
    pub(crate) fn flow_in_row(&mut self, flow: &Flow) -> io::Result<()> {
        self.line("-A", flow)?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn text(&mut self, text: impl Display) -> io::Result<()> {
        write!(self.out, "{text}")
    }

    fn line(&mut self, command: &str, flow: &Flow) -> io::Result<()> {
        let output = self.output;
        #[cfg(feature = "serde")]
        if output.json {
            return serde_json::to_writer(&mut self.out, flow).map_err(io::Error::from);
        }
        match output {
            Output { xml: true, .. } => {
                let text = self.xml().flow(flow, None).to_string();
                self.out.write_all(text.as_bytes())
            }
            Output { save: true, .. } => save::flow(&mut self.out, command, flow),
            _ => self.plain(flow),
        }
    }

    fn xml(&self) -> xml::Text<'_> {
        let names = Some(&self.labels).filter(|_| self.output.labels);
        xml::Text::new(self.output, names)
    }

    fn plain(&mut self, flow: &Flow) -> io::Result<()> {
        let output = self.output;
        if output.extended {
            let family = flow.family();
            write!(self.out, "{:<8} {} ", family.as_str(), family.number())?;
        }
        match flow.timestamp().filter(|_| output.ktimestamp) {
            Some(times) => {
                let line = flow.to_string();
                // They take the place of the age.
                let after = [" helper=", " use="];
                let at = after.iter().filter_map(|word| line.find(word)).min();
                let (head, tail) = line.split_at(at.unwrap_or(line.len()));
                write!(self.out, "{head} [start={}]", Date::of(times.start))?;
                if let Some(stop) = times.stop {
                    write!(self.out, " [stop={}]", Date::of(stop))?;
                }
                self.out.write_all(tail.as_bytes())?;
            }
            None => write!(self.out, "{flow}")?,
        }
        if let Some(id) = flow.id.filter(|_| output.id) {
            write!(self.out, " id={id}")?;
        }
        if let Some(labels) = flow.labels.filter(|_| output.labels) {
            let names: Vec<_> = self.labels.names(labels).collect();
            write!(self.out, " labels={}", names.join(","))?;
        }
        Ok(())
    }

    /// Prints an event, with the current time if requested.
    pub(crate) fn event(&mut self, event: &Event) -> io::Result<()> {
        let output = self.output;
        #[cfg(feature = "serde")]
        if output.json {
            serde_json::to_writer(&mut self.out, event)?;
            return self.out.write_all(b"\n");
        }
        let expectation = event.expectation();
        let root = if expectation.is_some() {
            "expect"
        } else {
            "conntrack"
        };
        self.begin(root)?;
        let (word, kind, letter) = match event {
            Event::New { .. } | Event::ExpectNew { .. } => ("[NEW]", "new", "-A"),
            Event::Update { .. } => ("[UPDATE]", "update", "-U"),
            _ => ("[DESTROY]", "destroy", "-D"),
        };
        let now = SystemTime::now();
        let when = output.timestamp.then_some(now);
        match (event.flow(), expectation) {
            (Some(flow), _) if output.xml => {
                let text = self.xml().flow(flow, Some((kind, when))).to_string();
                self.out.write_all(text.as_bytes())?;
            }
            (Some(flow), _) if output.save => save::flow(&mut self.out, letter, flow)?,
            (flow, expectation) => {
                if output.xml {
                    if let Some(expectation) = expectation {
                        let text = self
                            .xml()
                            .expectation(expectation, Some(kind), when)
                            .to_string();
                        self.out.write_all(text.as_bytes())?;
                    }
                } else {
                    self.stamp(when)?;
                    write!(self.out, "{word:>9} ")?;
                    match (flow, expectation) {
                        (Some(flow), _) => self.plain(flow)?,
                        (_, Some(expectation)) => write!(self.out, "{expectation}")?,
                        _ => {}
                    }
                }
            }
        }
        // conntrack(8) looks up the process only for flows.
        if let Some(port) = event.port_id().filter(|_| expectation.is_none()) {
            write!(self.out, " [USERSPACE] portid={port}")?;
            if let Some(name) = process::of_port(port) {
                write!(self.out, " progname={name}")?;
            }
        }
        self.out.write_all(b"\n")
    }

    pub(crate) fn expectation(&mut self, expectation: &Expectation) -> io::Result<()> {
        #[cfg(feature = "serde")]
        if self.output.json {
            serde_json::to_writer(&mut self.out, expectation)?;
            return self.out.write_all(b"\n");
        }
        self.begin("expect")?;
        let when = self.output.timestamp.then(SystemTime::now);
        match self.output.xml {
            true => {
                let text = xml::Text::new(self.output, None);
                writeln!(self.out, "{}", text.expectation(expectation, None, when))
            }
            false => {
                self.stamp(when)?;
                writeln!(self.out, "{expectation}")
            }
        }
    }

    /// The time at the beginning of a line, if requested.
    fn stamp(&mut self, when: Option<SystemTime>) -> io::Result<()> {
        let Some(since) = when.and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok())
        else {
            return Ok(());
        };
        let (seconds, micros) = (since.as_secs(), since.subsec_micros());
        write!(self.out, "[{seconds}.{micros:06}]\t")
    }

    /// Prints the start of the document, once.
    fn begin(&mut self, root: &str) -> io::Result<()> {
        if self.output.xml && !std::mem::replace(&mut self.begun, true) {
            writeln!(
                self.out,
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<{root}>"
            )?;
        }
        Ok(())
    }

    /// Prints the end of the document, if it was started.
    pub(crate) fn end(&mut self, root: &str) -> io::Result<()> {
        if self.begun {
            writeln!(self.out, "</{root}>")?;
        }
        self.flush()
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
