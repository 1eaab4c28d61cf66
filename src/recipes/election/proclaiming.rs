//! What follows from each outcome of a proclamation's transaction: pure. The model includes this file as it is, so it knows
//! nothing of the rest of the library.

/// How the transaction that writes the record has come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was executed.
    Executed,
    /// There is no record yet that could be written.
    RecordMissing,
    /// It may have been executed, or be executed later.
    Unknown,
    /// It was refused, or the leadership is lost.
    Failed,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Say that the payload is proclaimed.
    Succeed,
    /// Make an empty record, then send the transaction again.
    MakeRecord,
    /// Send it again after a pause: executed twice, it changes nothing.
    Repeat,
    /// Say why it is not.
    Fail,
}

pub(super) fn after(outcome: Outcome) -> Next {
    match outcome {
        Outcome::Executed => Next::Succeed,
        Outcome::RecordMissing => Next::MakeRecord,
        // Only a reply proves it: the node may be gone by the time it arrives, and then nothing is written.
        Outcome::Unknown => Next::Repeat,
        Outcome::Failed => Next::Fail,
    }
}
