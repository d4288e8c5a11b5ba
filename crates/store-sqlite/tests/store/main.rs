//! The store beside the model of the core, and by itself: what it promises of files, processes and plans.

#[cfg(test)]
mod listing;
#[cfg(test)]
mod support;
