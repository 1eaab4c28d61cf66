//! The register that a lock protects: a number that each holder reads and then writes one higher.
//!
//! It refuses a token lower than the highest that it has seen, **on reads too**. If only writes raised the mark, an older
//! holder could still write between the newer one's read and write: its write would be accepted, and then undone by the
//! newer one's, an increment lost in spite of the fence. With the mark raised by the read, whatever a holder has read
//! stays as it is until it writes or a newer holder reads.
//!
//! Without the fence it accepts everything.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A write that was accepted, hence acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) token: i64,
    pub(crate) before: u64,
    pub(crate) written: u64,
}

#[derive(Debug)]
pub(crate) struct Register {
    fenced: bool,
    value: u64,
    highest: i64,
    accepted: Vec<Accepted>,
    refused_reads: u64,
    refused_writes: u64,
}

impl Register {
    pub(crate) fn new(fenced: bool) -> Self {
        Self { fenced, value: 0, highest: i64::MIN, accepted: Vec::new(), refused_reads: 0, refused_writes: 0 }
    }

    fn admit(&mut self, token: i64) -> Result<(), Refused> {
        if self.fenced && token < self.highest {
            return Err(Refused);
        }
        self.highest = self.highest.max(token);
        Ok(())
    }

    pub(crate) fn read(&mut self, token: i64) -> Result<u64, Refused> {
        self.admit(token).inspect_err(|Refused| self.refused_reads += 1)?;
        Ok(self.value)
    }

    pub(crate) fn write(&mut self, token: i64, written: u64) -> Result<(), Refused> {
        self.admit(token).inspect_err(|Refused| self.refused_writes += 1)?;
        self.accepted.push(Accepted { token, before: self.value, written });
        self.value = written;
        Ok(())
    }

    pub(crate) fn value(&self) -> u64 {
        self.value
    }

    pub(crate) fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    pub(crate) fn refused_reads(&self) -> u64 {
        self.refused_reads
    }

    pub(crate) fn refused_writes(&self) -> u64 {
        self.refused_writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_register_refuses_an_older_holder_once_a_newer_one_has_read() {
        let mut register = Register::new(true);
        assert_eq!(register.read(5), Ok(0));
        assert_eq!(register.read(6), Ok(0));
        assert_eq!(register.write(5, 1), Err(Refused));
        assert_eq!(register.read(5), Err(Refused));
        assert_eq!(register.write(6, 1), Ok(()));
        assert_eq!((register.value(), register.refused_reads(), register.refused_writes()), (1, 1, 1));
    }

    #[test]
    fn a_holder_may_read_and_write_with_one_token() {
        let mut register = Register::new(true);
        assert_eq!(register.read(5), Ok(0));
        assert_eq!(register.write(5, 1), Ok(()));
        assert_eq!(register.read(5), Ok(1));
        assert_eq!(register.accepted(), [Accepted { token: 5, before: 0, written: 1 }]);
    }

    #[test]
    fn an_unfenced_register_loses_the_increment_of_a_newer_holder() {
        let mut register = Register::new(false);
        let stale = register.read(5).expect("unfenced");
        let fresh = register.read(6).expect("unfenced");
        assert_eq!(register.write(6, fresh + 1), Ok(()));
        assert_eq!(register.write(5, stale + 1), Ok(()));
        assert_eq!(register.value(), 1);
        assert_eq!(register.accepted().len(), 2);
    }
}
