//! conntrack(8)'s wording: `Display` of the nouns, and the labels' names.

mod address;
mod event;
mod expectation;
mod flow;
mod label_map;
mod line;
mod masked;
mod nouns;
mod preflight;
mod read;
mod requests;
mod stats;
mod timeout;

pub use label_map::LabelMap;
