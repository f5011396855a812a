//! The text of conntrack(8): `Display` of the nouns, and the names of labels.

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
