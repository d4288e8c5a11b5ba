//! How the schema comes about, and where it does not.
