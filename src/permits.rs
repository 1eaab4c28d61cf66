//! What all users of a semaphore have agreed on: how many permits it has. One line of JSON, the data of the directory in which the
//! holders' znodes are.

use serde::{Deserialize, Serialize};

/// How many permits a semaphore has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreement {
    permits: u32,
    /// As many as its users were told at first, and as its users that were not told otherwise still say: another number than
    /// this comes from an explicit change.
    declared: u32,
}

impl Agreement {
    /// What the first user declares.
    pub(crate) fn new(permits: u32) -> Self {
        Self { permits, declared: permits }
    }

    /// How many there are.
    pub(crate) fn permits(self) -> u32 {
        self.permits
    }

    /// Another number of permits.
    pub(crate) fn resized(self, permits: u32) -> Self {
        Self { permits, ..self }
    }

    /// Whether a user that declares this number means the same semaphore: the number as it was, or as it is.
    pub(crate) fn is_met_by(self, declared: u32) -> bool {
        declared == self.declared || declared == self.permits
    }

    /// What the data of a node say; `None` if nothing that this library wrote.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let agreement: Self = serde_json::from_slice(data).ok()?;
        (agreement.permits > 0 && agreement.declared > 0).then_some(agreement)
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("numbers can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_is_read_as_it_was_written() {
        for agreement in [Agreement::new(1), Agreement::new(u32::MAX).resized(7)] {
            assert_eq!(Agreement::parse(&agreement.to_bytes()), Some(agreement));
        }
    }

    #[test]
    fn what_names_no_permits_is_no_agreement() {
        for data in
            ["", "5", "{}", r#"{"permits":0,"declared":5}"#, r#"{"permits":-1,"declared":5}"#, r#"{"permits":5}"#]
        {
            assert_eq!(Agreement::parse(data.as_bytes()), None, "{data}");
        }
    }

    #[test]
    fn users_may_declare_the_number_as_it_was_or_as_it_is() {
        let agreement = Agreement::new(5).resized(8).resized(9);
        assert!(agreement.is_met_by(5) && agreement.is_met_by(9));
        assert!(!agreement.is_met_by(8) && !agreement.is_met_by(6));
        assert_eq!(agreement.permits(), 9);
    }
}
