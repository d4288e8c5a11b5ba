//! The store beside the model of the core, and by itself: what it promises of writes, sessions, poolers and processes.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod support;
