//! The program beside the servers that it is for, in network namespaces of their own, on real flows. It needs
//! root, and Debian's `nats-server` and `prometheus`.

mod chaos;
mod collector;
mod deploy;
mod fleet;
mod nats;
mod otlp;
mod process;
mod prometheus;
mod support;
