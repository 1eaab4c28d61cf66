//! The formulae of docs/SCALE.md, compared with the shipped library on the embedded store.

use fairlock_growth::{Size, all};

#[test]
fn the_shipped_library_costs_what_the_formulae_say() {
    let mut compared = 0;
    let mut differing = Vec::new();
    for locks in [1, 3] {
        for waiters in [0, 1, 2, 3, 10] {
            for sessions in [1, 2, 4] {
                for comparison in all(Size { locks, waiters, sessions }) {
                    compared += 1;
                    if !comparison.holds() {
                        differing.push(comparison.to_string());
                    }
                }
            }
        }
    }
    assert!(differing.is_empty(), "\n{}\n", differing.join("\n"));
    assert!(compared > 500, "only {compared} figures were compared");
}
