//! The services of one organization in memory, ordered and indexed for listings.
//!
//! [`Index`] keeps of each service what listings look at, and a value that stands for it: the service itself in a store that has
//! all services in memory, the revision to read it by in one that has not. [`Index::select`] gives the page of any listing at a
//! cost that grows neither with its depth nor, but for what is said below, with the organization.
//!
//! * **Three orders**: by id, by name, and by falling name, within which ids rise. Each gives every service a *label*, a number that
//!   grows along the order and leaves room for others, so that comparing two services is comparing two numbers. A position is the
//!   label of its service, where [`Index::select_after`] is told its number; otherwise it is searched by id or by name.
//! * **Terms**: each key of a tag, each key with its value or without one, each agent and each state machine. For each term there
//!   are the services that have it as a list in each order, those of either activeness apart, and as a bitmap; or, where they
//!   are few, as one short list that is sorted when it is read. Under a single term, a page of any sort is a range of one or
//!   two lists.
//! * **Names** in a visibility are stretches of the order by name: what they cost does not depend on how many services share them.
//! * **Several conditions**: where matches are dense, candidates are tested in the order of the page. Where they are not, or after
//!   two thousand tests in vain, bitmaps are intersected, and the first of what is left are selected by their labels.
//!
//! What still grows with the organization is this last: by a nanosecond or two for each service that has the rarest tag asked for
//! and for each that is left, where tags seldom meet or the services that have both come early in the order and are past. Of a
//! visibility, each set of several values takes a union, which grows in the same way: sixty-four grants of two sets of a hundred
//! values each, in an organization of a million services, take tens of milliseconds.
//!
//! A service with four tags that others have as well takes about 350 bytes. Each further tag takes forty, and two hundred more
//! if no other service has it. [`Index::weight`] says what they come to.
//!
//! It does no I/O and takes no lock. A change costs a binary search for each list that it concerns.

mod blocks;
mod condition;
mod flags;
mod index;
mod order;
mod page;
mod postings;
mod query;
mod term;

pub use blocks::Slot;
pub use index::{Index, IndexBuilder, Keys};
