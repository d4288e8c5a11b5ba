//! The store beside the model of the core, and by itself: what it promises of writes, files and processes.

#[cfg(test)]
mod access;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod check;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod index;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod support;
#[cfg(test)]
mod writing;
