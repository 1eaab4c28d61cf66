//! The demo as a log: one line per event.

use std::io::{self, Write};

use tokio::sync::mpsc;

use super::Failure;
use super::news::{How, News, What, Who};
use super::plan::Plan;
use super::summary::list;

/// Prints the news until there are no more.
pub(super) async fn show(plan: &Plan, mut feed: mpsc::UnboundedReceiver<News>) -> Result<(), Failure> {
    print(&plan.headline())?;
    let mut queue = Vec::new();
    while let Some(News { at, what }) = feed.recv().await {
        if let Some(line) = line(plan, what, &mut queue) {
            print(&format!("{:7.3}  {line}", at.as_secs_f64()))?;
        }
    }
    Ok(())
}

fn line(plan: &Plan, what: What, queue: &mut Vec<Who>) -> Option<String> {
    Some(match what {
        What::Entered { who } => format!("{who} enters the queue"),
        What::Granted { who, token } => format!("{who} holds the lock, fencing token {token}"),
        What::Leaves { who, how: How::Released, .. } => format!("{who} releases the lock"),
        What::Leaves { who, how: How::Crashed, .. } => format!("{who} crashes: {}", plan.crash_told()),
        What::Leaves { who, how: How::GaveUp, .. } => format!("{who} gives up"),
        What::Notified { who, about } => format!("{who} is notified: {about} has left"),
        What::Lost { who, reason } => format!("{who} is told that its lock is lost: {reason}"),
        What::Settled { waiters: 0, .. } => return None,
        What::Settled { left, notified, waiters } => {
            format!("of {waiters} who waited, {} notified of {left}'s leaving: {}", notified.len(), names(&notified))
        }
        What::Queue(now) => {
            if *queue == now {
                return None;
            }
            *queue = now;
            format!("queue: {}", names(queue))
        }
    })
}

fn names(whos: &[Who]) -> String {
    if whos.is_empty() { "nobody".to_owned() } else { list(whos) }
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    // A log is read while it is written.
    out.flush()
}
