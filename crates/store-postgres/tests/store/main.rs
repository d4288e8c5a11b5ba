//! The store by itself: what it promises of statements, sessions, poolers, servers that go away, and processes that race.

#[cfg(test)]
mod check;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod contention;
#[cfg(test)]
mod index;
#[cfg(test)]
mod lost_connections;
#[cfg(test)]
mod migrating;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
