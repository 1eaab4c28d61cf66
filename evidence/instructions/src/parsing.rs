//! What is read from nodes and written to them.

use std::hint::black_box;

use fairlock::Ticket;
use fairlock::queue::Sequence;

use crate::operations::{REPETITIONS, Work};

pub(crate) fn name_read(name: &'static str) -> Work {
    Box::new(move || {
        for _ in 0..REPETITIONS {
            black_box(Sequence::of_node(black_box(name)));
        }
    })
}

pub(crate) fn name_written() -> Work {
    Box::new(|| {
        for _ in 0..REPETITIONS {
            black_box(black_box(Sequence::from(12_345)).node_name());
        }
    })
}

/// As in a queue of production: names of usual length.
const TICKET: &[u8] = br#"{"id":"4f1d2c3b4a5968778695a4b3c2d1e0f0","owner":"billing-7","host":"worker-12.example","pid":4711,"since_unix_ms":1767225600000}"#;

pub(crate) fn ticket_read() -> Work {
    Box::new(|| {
        black_box(Ticket::parse(black_box(TICKET))).expect("a ticket");
    })
}

pub(crate) fn ticket_written() -> Work {
    let ticket = Ticket::parse(TICKET).expect("a ticket");
    Box::new(move || {
        black_box(serde_json::to_vec(black_box(&ticket))).expect("strings and numbers always serialize");
    })
}
