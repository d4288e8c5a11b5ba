//! The same listings as one would write them with sqlx in an afternoon.
