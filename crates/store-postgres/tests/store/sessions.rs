//! Settings of servers, databases, users and sessions change no answer.
