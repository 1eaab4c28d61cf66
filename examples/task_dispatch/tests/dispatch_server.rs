//! Every task is done once, with the locks on a real server.

mod bed;

use std::time::Duration;

use fairlock_task_dispatch::{Place, Trouble};
use fairlock_testcontainers::Server;

use self::bed::run;

#[tokio::test(flavor = "multi_thread")]
async fn each_task_is_done_once_though_a_worker_dies_one_hangs_and_one_comes_late() {
    let server = Server::start().await.expect("a server");
    let troubles = [(0, Trouble::Dies), (1, Trouble::Hangs), (2, Trouble::ComesLate)];
    run(Place::Servers(server.address()), Duration::from_millis(800), &troubles).await;
    let sessions = server.four_letter("dump").await.expect("a server that answers");
    assert!(sessions.contains("Sessions with Ephemerals (0)"), "nothing is left behind:\n{sessions}");
}
