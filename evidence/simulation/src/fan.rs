//! A latest value for many, each on a channel of its own: those of one channel would be woken in an order that tokio
//! draws by lot, and no history could be replayed.

use tokio::sync::watch;

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Fan<T> {
    value: T,
    channels: Vec<watch::Sender<T>>,
}

impl<T: Copy> Fan<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, channels: Vec::new() }
    }

    pub(crate) fn get(&self) -> T {
        self.value
    }

    /// Tells all, in the order in which they subscribed.
    pub(crate) fn set(&mut self, value: T) {
        self.value = value;
        for channel in &self.channels {
            channel.send_replace(value);
        }
    }

    /// For one task to wait on.
    pub(crate) fn subscribe(&mut self) -> watch::Receiver<T> {
        self.channels.retain(|channel| !channel.is_closed());
        let (sender, receiver) = watch::channel(self.value);
        self.channels.push(sender);
        receiver
    }
}
