//! A fair, fenced distributed lock.
