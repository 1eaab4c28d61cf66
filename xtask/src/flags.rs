//! The command line: what can be typed, and its help.

use std::path::PathBuf;

xflags::xflags! {
    /// The chores of this workspace. Each command runs from anywhere in the tree.
    cmd xtask {
        /// Run every test: unit, contract, real servers, documentation, examples, command line, house rules.
        ///
        /// Gets what is missing first (a ZooKeeper image or package), and says which servers the tests use. The last
        /// line of the output is `N passed, N failed, N skipped`; the exit code is 0 only if all tests ran and passed.
        cmd test {
            /// Leave out every suite that needs a real ZooKeeper; its tests count as skipped, never as passed.
            optional --quick
        }

        /// Check everything that a change must pass, and change no file: format, lints, documentation, dependencies, tests.
        ///
        /// All steps run even if one fails, so that one run tells everything there is to repair.
        cmd verify {}

        /// Visit every state of a small world around the queue machine: small (seconds), ci (minutes) or large.
        cmd model {
            /// The size; `ci` if it is left out.
            optional size: String
        }

        /// Run the driver through simulated histories, each decided by its seed.
        cmd sim {
            /// How many seeds.
            optional --seeds seeds: u64
            /// The first seed.
            optional --first first: u64
            /// Replay this one seed.
            optional --seed seed: u64
            /// Print what happens.
            optional --trace
        }

        /// Count the instructions of the core's operations with valgrind, and compare them with their limits.
        cmd instructions {}

        /// Try to break the lock on a real ensemble of three: servers and clients are killed, paused and cut off.
        cmd chaos {
            /// For how long.
            optional --minutes minutes: f64
            /// Which fault comes when.
            optional --seed seed: u64
            /// The control: without the fencing token, increments must be lost.
            optional --control
        }

        /// Measure fairlock beside other locks, in turn, on one server and on three; docs/BENCHMARKS.md has a run of it.
        cmd bench {
            /// The smallest form: seconds, no delays, and only what needs neither Python nor Java.
            optional --quick
            /// Also drain queues of 10,000, of the floor and of fairlock.
            optional --large
            /// And of all others: minutes for each, and gigabytes of memory.
            optional --large-peers
            /// Leave out the ensemble of three servers.
            optional --no-ensemble
            /// Write docs/BENCHMARKS.md and its pictures.
            optional --write
            /// How many rounds of each.
            optional --rounds rounds: u32
            /// Only these, with commas between them: floor, fairlock, zookeeper-client, kazoo, curator, etcd, redis.
            optional --contenders contenders: String
            /// Measure only this, with commas between: uncontended, independent, try, cold-start, hand-over, mix, drain,
            /// server-time, fail-over, own-time, memory, instructions. No page can be written of it.
            optional --only only: String
            /// A folder with the jars of Curator and what they need.
            optional --curator-jars curator_jars: PathBuf
        }

        /// Compare the formulae of docs/SCALE.md with the library on a large grid, or measure where one ensemble ends.
        cmd growth {
            /// paper (the default, seconds), throughput, memory, width, clean-up or restart (a minute each, real servers).
            optional what: String
        }

        /// Build deliberately wrong versions of the lock; the model, the simulation or the counts must tell each.
        cmd mutants {
            /// Only those with this in their name.
            optional name: String
            /// Ask every checker about every mutant, and print who tells which.
            optional --all-checkers
        }

        /// Change the core at random with cargo-mutants, and count how much of that its tests notice.
        cmd core-mutants {}

        /// Format the code and apply what clippy can repair by itself.
        cmd fix {}
    }
}
