//! An assembler for classic BPF: tests on the bytes of a message, and the program for them.
//!
//! All values are compared as the big-endian numbers that the kernel sends, so that a program is
//! the same on every machine.

use super::uapi::*;

/// The offset of the attributes in a message.
const ATTRIBUTES: u32 = 20;
/// The offset of the family in a message.
const FAMILY: u32 = 16;
/// The return value of a program that accepts a message: the whole message.
const WHOLE: u32 = u32::MAX;

/// One instruction, in the kernel's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

/// A test on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Always,
    Never,
    /// The family in the header.
    Family(u8),
    Value(Value),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

/// A value inside the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// Its possible paths of nested attributes. The first one that exists counts.
    pub(crate) paths: Vec<Vec<u16>>,
    /// Does it count as zero if none of the paths exists? Otherwise the test is undecided, and the
    /// message is accepted.
    pub(crate) or_zero: bool,
    /// The comparisons, all of which must be true.
    pub(crate) parts: Vec<Part>,
}

/// A number in the payload of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) at: u32,
    /// `BPF_B`, `BPF_H` or `BPF_W`.
    pub(crate) size: u16,
    pub(crate) mask: u32,
    /// The lowest and the highest allowed number, after the mask.
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl Test {
    /// All of these tests, simplified.
    pub(crate) fn all(tests: impl IntoIterator<Item = Test>) -> Self {
        let mut left = Vec::new();
        for test in tests {
            match test {
                Self::Always => {}
                Self::Never => return Self::Never,
                test => left.push(test),
            }
        }
        match left.len() {
            0 => Self::Always,
            1 => left.remove(0),
            _ => Self::All(left),
        }
    }

    /// At least one of these tests, simplified.
    pub(crate) fn any(tests: impl IntoIterator<Item = Test>) -> Self {
        let mut left = Vec::new();
        for test in tests {
            match test {
                Self::Never => {}
                Self::Always => return Self::Always,
                test => left.push(test),
            }
        }
        match left.len() {
            0 => Self::Never,
            1 => left.remove(0),
            _ => Self::Any(left),
        }
    }

    /// The opposite test.
    pub(crate) fn contrary(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            test => Self::Not(Box::new(test)),
        }
    }

    /// The program that accepts messages which pass the test; `None` if it has more instructions
    /// than `most`.
    pub(crate) fn program(&self, most: usize) -> Option<Vec<Instruction>> {
        let mut assembler = Assembler {
            most,
            ..Assembler::default()
        };
        let (wanted, unwanted) = (assembler.label(), assembler.label());
        assembler.unknown = wanted;
        assembler.test(self, wanted, unwanted);
        assembler.bind(unwanted);
        assembler.op(BPF_RET, 0);
        assembler.bind(wanted);
        assembler.op(BPF_RET, WHOLE);
        (!assembler.is_too_long()).then(|| assembler.finish())
    }
}

/// A place in the program, which may not be known yet.
#[derive(Debug, Clone, Copy, Default)]
struct Label(usize);

#[derive(Debug, Clone, Copy)]
enum Step {
    Op {
        code: u16,
        k: u32,
    },
    /// A comparison that may skip the next instruction.
    Skip {
        code: u16,
        k: u32,
        if_true: bool,
    },
    Jump(Label),
}

/// A conditional jump reaches 255 instructions, and an unconditional jump any distance. So each
/// comparison only decides whether to skip an unconditional jump.
#[derive(Debug, Default)]
struct Assembler {
    steps: Vec<Step>,
    /// The position of each label.
    labels: Vec<usize>,
    /// The target if the test is undecided.
    unknown: Label,
    /// The maximum number of steps. At most one more is stored, because tests can be very long.
    most: usize,
}

impl Assembler {
    fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    fn bind(&mut self, label: Label) {
        self.labels[label.0] = self.steps.len();
    }

    fn is_too_long(&self) -> bool {
        self.steps.len() > self.most
    }

    fn push(&mut self, step: Step) {
        if !self.is_too_long() {
            self.steps.push(step);
        }
    }

    fn op(&mut self, code: u16, k: u32) {
        self.push(Step::Op { code, k });
    }

    fn jump(&mut self, label: Label) {
        self.push(Step::Jump(label));
    }

    /// Jumps to `label` if the comparison returns `when`; otherwise continues.
    fn branch(&mut self, comparison: u16, k: u32, when: bool, label: Label) {
        let code = BPF_JMP | comparison;
        let if_true = !when;
        self.push(Step::Skip { code, k, if_true });
        self.jump(label);
    }

    /// Jumps to `yes` or `no`, and never continues.
    fn test(&mut self, test: &Test, yes: Label, no: Label) {
        if self.is_too_long() {
            return;
        }
        match test {
            Test::Always => self.jump(yes),
            Test::Never => self.jump(no),
            Test::Family(family) => {
                self.op(BPF_LD | BPF_B | BPF_ABS, FAMILY);
                self.branch(BPF_JEQ, u32::from(*family), true, yes);
                self.jump(no);
            }
            Test::Value(value) => self.value(value, yes, no),
            Test::Not(test) => self.test(test, no, yes),
            Test::All(tests) => {
                for test in tests {
                    let next = self.label();
                    self.test(test, next, no);
                    self.bind(next);
                }
                self.jump(yes);
            }
            Test::Any(tests) => {
                for test in tests {
                    let next = self.label();
                    self.test(test, yes, next);
                    self.bind(next);
                }
                self.jump(no);
            }
        }
    }

    fn value(&mut self, value: &Value, yes: Label, no: Label) {
        let found = self.label();
        for path in &value.paths {
            let absent = self.label();
            self.find(path, absent);
            self.jump(found);
            self.bind(absent);
        }
        match value.or_zero {
            true if value.parts.iter().all(|part| part.allows(0)) => self.jump(yes),
            true => self.jump(no),
            false => self.jump(self.unknown),
        }
        self.bind(found);
        self.op(BPF_MISC, 0);
        for part in &value.parts {
            self.part(*part, no);
        }
        self.jump(yes);
    }

    /// Finds an attribute, and leaves its offset in A.
    fn find(&mut self, path: &[u16], absent: Label) {
        self.op(BPF_LD | BPF_IMM, ATTRIBUTES);
        for (depth, kind) in path.iter().enumerate() {
            let search = match depth {
                0 => SKF_AD_NLATTR,
                _ => SKF_AD_NLATTR_NEST,
            };
            self.op(BPF_LDX | BPF_IMM, u32::from(*kind));
            self.op(BPF_LD | BPF_W | BPF_ABS, search);
            self.branch(BPF_JEQ, 0, true, absent);
        }
    }

    /// Compares a number in the attribute whose offset is in X, and continues if it is allowed.
    fn part(&mut self, part: Part, no: Label) {
        const HEADER: u32 = 4;
        self.op(BPF_LD | part.size | BPF_IND, part.at + HEADER);
        if part.mask != u32::MAX {
            self.op(BPF_ALU | BPF_AND, part.mask);
        }
        if part.first == part.last {
            self.branch(BPF_JEQ, part.first, false, no);
            return;
        }
        if part.first > 0 {
            self.branch(BPF_JGE, part.first, false, no);
        }
        if part.last < u32::MAX {
            self.branch(BPF_JGT, part.last, true, no);
        }
    }

    fn finish(self) -> Vec<Instruction> {
        let Self { steps, labels, .. } = self;
        let assembled = steps.iter().enumerate().map(|(at, step)| {
            let (code, jt, jf, k) = match *step {
                Step::Op { code, k } => (code, 0, 0, k),
                Step::Skip { code, k, if_true } => (code, u8::from(if_true), u8::from(!if_true), k),
                // A label comes after all jumps to it, and programs are short.
                Step::Jump(label) => (BPF_JMP | BPF_JA, 0, 0, (labels[label.0] - at - 1) as u32),
            };
            Instruction { code, jt, jf, k }
        });
        assembled.collect()
    }
}

impl Part {
    /// A number that must be equal to this one.
    pub(crate) fn exactly(at: u32, size: u16, value: u32) -> Self {
        Self::masked(at, size, value, u32::MAX)
    }

    /// A number that must be equal to this one in the bits of the mask.
    pub(crate) fn masked(at: u32, size: u16, value: u32, mask: u32) -> Self {
        Self {
            at,
            size,
            mask,
            first: value,
            last: value,
        }
    }

    fn allows(&self, number: u32) -> bool {
        (self.first..=self.last).contains(&(number & self.mask))
    }
}
