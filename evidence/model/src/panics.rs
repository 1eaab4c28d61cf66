//! Keeps the machine's failed assertions, which the checker reports as states, from being printed a million times.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs something whose panics are caught and reported by the caller.
pub(crate) fn silently<T>(run: impl FnOnce() -> T) -> T {
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !SILENT.get() {
                previous(panic);
            }
        }));
    });
    SILENT.set(true);
    let outcome = run();
    SILENT.set(false);
    outcome
}
