//! The API as clients see it: requests in, answers out, over the memory store and a clock that the test sets.

mod answers;
mod auth;
mod bodies;
mod document;
mod examples;
mod failures;
mod hostile;
mod limits;
mod observed;
mod operations;
mod order;
mod routes;
mod sign_in;
mod support;
