//! Tests the program with real servers and real flows, in new network namespaces. It needs root, and Debian's
//! `nats-server` and `prometheus`.

mod chaos;
mod collector;
mod deploy;
mod fleet;
mod nats;
mod otlp;
mod process;
mod prometheus;
mod support;
