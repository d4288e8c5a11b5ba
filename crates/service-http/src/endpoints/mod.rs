//! The endpoints, one file each: admission, then the request, then the registry.

mod create;
mod delete_version_set;
mod list;
mod sign_in;
mod update;
mod upsert_version_set;

pub(crate) use create::create;
pub(crate) use delete_version_set::delete_version_set;
pub(crate) use list::list;
pub(crate) use sign_in::sign_in;
pub(crate) use update::update;
pub(crate) use upsert_version_set::upsert_version_set;
