//! Statistics over many runs of many programs.

use super::process::Run;

/// The runs of one program, one for each round; `None` if it is not on this machine.
pub struct Row {
    pub name: &'static str,
    pub runs: Vec<Run>,
}

/// All programs, in the order in which they run.
pub struct Table {
    pub rows: Vec<Row>,
}

impl Table {
    pub fn new(names: &[&'static str]) -> Self {
        let rows = names.iter().map(|name| Row {
            name,
            runs: Vec::new(),
        });
        Self {
            rows: rows.collect(),
        }
    }

    pub fn add(&mut self, name: &str, run: Run) {
        let row = self.rows.iter_mut().find(|row| row.name == name);
        row.expect("a row of the table").runs.push(run);
    }

    /// The median over the rounds; NaN if the program did not run.
    pub fn median(&self, name: &str, of: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs(name).iter().map(of).collect())
    }

    /// The median of the ratios of each round. A slow phase of the machine slows both programs.
    pub fn ratio(&self, name: &str, to: &str, of: impl Fn(&Run) -> f64) -> f64 {
        let pairs = self.runs(name).iter().zip(self.runs(to));
        median(pairs.map(|(run, base)| of(run) / of(base)).collect())
    }

    fn runs(&self, name: &str) -> &[Run] {
        let row = self.rows.iter().find(|row| row.name == name);
        row.map(|row| row.runs.as_slice()).unwrap_or_default()
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len => (values[(len - 1) / 2] + values[len / 2]) / 2.0,
    }
}

/// Rounds a number for the last line.
pub fn round(value: f64, digits: i32) -> serde_json::Value {
    let scale = 10_f64.powi(digits);
    // NaN becomes null.
    serde_json::json!(value.is_finite().then(|| (value * scale).round() / scale))
}
