//! The life of one request: from verified bytes to an answer and its cause.

pub mod password;
