//! What became of a batch.

/// A batch isn't in the database; nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The database is away, slow, locked or not set up: the same may succeed later.
    #[error("{0}")]
    Away(String),
    /// It wasn't told in time whether the batch is in the database. If it can be found out, then by the transaction's
    /// number.
    #[error("{what}; whether the last records are in the database has to be found out")]
    InDoubt {
        /// What happened.
        what: String,
        /// The number of the transaction that tells; `None`: there is no such one, and they have to be written again.
        transaction: Option<i64>,
    },
    /// The database refuses what one of the records says.
    #[error("{0}")]
    Refused(String),
    /// The disk is full or fails: nothing can be kept, here or elsewhere.
    #[error("{0}")]
    Full(String),
}

/// What became of a transaction that was in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its records are in the database.
    Committed,
    /// They aren't.
    Aborted,
    /// The database no longer knows.
    Unknown,
}
