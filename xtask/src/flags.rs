//! The command line: what can be typed, and its help.

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

        /// Format the code and apply what clippy can repair by itself.
        cmd fix {}
    }
}
