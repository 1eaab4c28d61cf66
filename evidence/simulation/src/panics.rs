//! Panics of tasks: the runtime catches them, so that they would go unnoticed.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    /// What has panicked on this thread, while a history runs on it.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Starts to collect this thread's panics instead of printing them.
pub(crate) fn collect() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_collected = PANICS.with_borrow_mut(|panics| match panics {
                Some(panics) => {
                    panics.push(info.to_string());
                    true
                }
                None => false,
            });
            if !is_collected {
                previous(info);
            }
        }));
    });
    PANICS.set(Some(Vec::new()));
}

/// The panics since the last look.
pub(crate) fn take() -> Vec<String> {
    PANICS.with_borrow_mut(|panics| panics.as_mut().map(std::mem::take).unwrap_or_default())
}

/// Stops to collect, and tells what has been collected since the last look.
pub(crate) fn stop() -> Vec<String> {
    PANICS.take().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_task_is_collected() {
        collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async { tokio::spawn(async { panic!("by design") }).await.expect_err("it panics") });
        let panics = take();
        assert!(panics.len() == 1 && panics[0].contains("by design"), "{panics:?}");
        assert_eq!(stop(), Vec::<String>::new());
    }
}
