//! One ZooKeeper server with a fixed address.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::container::{self, Container, Network};
use crate::error::Error;
use crate::node::{Launch, Node};
use crate::ports::Port;
use crate::process::ProcessNode;
use crate::runtime::{Means, Runtime};
use crate::settings::{Settings, knobs};

/// How long a single four-letter word may take.
const WORD_PATIENCE: Duration = Duration::from_secs(5);

/// How long the first question to a starting server may take.
const FIRST_PATIENCE: Duration = Duration::from_millis(50);

/// A real ZooKeeper server. Dropping it removes it with its data.
#[derive(Debug)]
pub struct Server {
    node: Node,
    port: Port,
    /// Ports for its peers.
    other_ports: Vec<Port>,
    runtime: Runtime,
    state: Mutex<State>,
    start_timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Paused,
    Down,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Down => "not running",
        }
    }
}

/// Configures a [`Server`].
#[derive(Debug, Clone, Default)]
pub struct ServerBuilder {
    settings: Settings,
}

knobs!(ServerBuilder);

impl ServerBuilder {
    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    ///
    /// When there is no way to run a server here, or it does not serve in time.
    pub async fn start(self) -> Result<Server, Error> {
        let settings = self.settings;
        settings.check()?;
        let means = Means::find(settings.runtime).await?;
        let server = container::with_other_ports_if_taken(async || {
            let port = Port::reserve()?;
            let node = match &means {
                Means::Container(engine) => {
                    let peers = ["server.1=127.0.0.1:2888:3888;2181".to_owned()];
                    let launch = Launch { settings: &settings, id: 1, peers: &peers };
                    let ports = [(port.number(), 2181)];
                    Node::Container(Box::new(engine.start(&launch, Network::Published(&ports)).await?))
                }
                Means::Process(installation) => {
                    let launch = Launch { settings: &settings, id: 1, peers: &[] };
                    let lines = [format!("clientPort={}", port.number()), "clientPortAddress=127.0.0.1".to_owned()];
                    Node::Process(Box::new(ProcessNode::launch(installation, &launch, &lines)?))
                }
            };
            Ok(Server::new(node, port, means.runtime(), &settings))
        })
        .await?;
        server.wait_until_serving().await?;
        Ok(server)
    }
}

impl Server {
    /// Starts a server with the default settings and waits until it serves.
    ///
    /// # Errors
    ///
    /// When there is no way to run a server here, or it does not serve in time.
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// To change settings before the start.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn new(node: Node, port: Port, runtime: Runtime, settings: &Settings) -> Self {
        Self {
            node,
            port,
            other_ports: Vec::new(),
            runtime,
            state: Mutex::new(State::Running),
            start_timeout: settings.start_timeout,
        }
    }

    /// Keeps more ports reserved as long as the server exists.
    pub(crate) fn keep_ports(&mut self, ports: impl IntoIterator<Item = Port>) {
        self.other_ports.extend(ports);
    }

    /// Hands a container over to be removed together with others.
    pub(crate) fn give_up(&mut self) -> Option<Container> {
        match &mut self.node {
            Node::Container(node) => node.give_up(),
            Node::Process(_) => None,
        }
    }

    /// Where clients connect: `127.0.0.1:PORT`, the same as long as the server exists.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The port of [`address`](Self::address).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What the server runs in.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Stops the server in good order, so that it closes its connections.
    ///
    /// # Errors
    ///
    /// When the engine or the system fails.
    pub async fn stop(&self) -> Result<(), Error> {
        if self.state() == State::Paused {
            self.unpause().await?;
        }
        self.node.stop().await?;
        self.set_state(State::Down);
        Ok(())
    }

    /// Kills the server (SIGKILL). What it had written is kept.
    ///
    /// # Errors
    ///
    /// When the engine or the system fails.
    pub async fn kill(&self) -> Result<(), Error> {
        if self.state() != State::Down {
            self.node.kill().await?;
            self.set_state(State::Down);
        }
        Ok(())
    }

    /// Starts a stopped or killed server again, with its data and its address, and waits until it serves. A member of
    /// an ensemble serves only with more than half of the others; see [`launch`](Self::launch).
    ///
    /// # Errors
    ///
    /// When the server is not down, or does not serve in time.
    pub async fn start_again(&self) -> Result<(), Error> {
        self.launch().await?;
        self.wait_until_serving().await
    }

    /// As [`start_again`](Self::start_again), but does not wait until the server serves.
    ///
    /// # Errors
    ///
    /// When the server is not down, or the engine or the system fails.
    pub async fn launch(&self) -> Result<(), Error> {
        self.expect(State::Down, "stop or kill it first")?;
        self.node.start().await?;
        self.set_state(State::Running);
        Ok(())
    }

    /// Stops the server in good order and starts it again.
    ///
    /// # Errors
    ///
    /// As for [`stop`](Self::stop) and [`start_again`](Self::start_again).
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await?;
        self.start_again().await
    }

    /// Freezes the server. Its connections stay open, and nothing is answered.
    ///
    /// # Errors
    ///
    /// When the server is not running.
    pub async fn pause(&self) -> Result<(), Error> {
        self.expect(State::Running, "start or unpause it first")?;
        self.node.pause().await?;
        self.set_state(State::Paused);
        Ok(())
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    ///
    /// When the server is not paused.
    pub async fn unpause(&self) -> Result<(), Error> {
        self.expect(State::Paused, "pause it first")?;
        self.node.unpause().await?;
        self.set_state(State::Running);
        Ok(())
    }

    /// Processor time, of users and of the system, that the server has spent since it was started last. A container's has no
    /// coarser unit than microseconds; a process's comes in ticks, a hundred a second on most machines.
    ///
    /// # Errors
    ///
    /// When the server is not running, or the engine or the system does not tell.
    pub async fn cpu_time(&self) -> Result<Duration, Error> {
        self.expect(State::Running, "start or unpause it first")?;
        self.node.cpu_time().await
    }

    /// The server's answer to a four-letter word such as `ruok`, `srvr`, `wchs`, `dump`, `mntr` or `cons`.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or does not answer within five seconds.
    pub async fn four_letter(&self, word: &str) -> Result<String, Error> {
        self.ask(word, WORD_PATIENCE).await.map_err(Error::io("ask the server with a four-letter word"))
    }

    async fn ask(&self, word: &str, patience: Duration) -> io::Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port())).await?;
            stream.write_all(word.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        timeout(patience, ask).await.unwrap_or_else(|elapsed| Err(elapsed.into()))
    }

    /// `standalone`, `leader` or `follower` while the server serves; nothing while it does not.
    pub async fn mode(&self) -> Option<String> {
        self.mode_within(WORD_PATIENCE).await
    }

    async fn mode_within(&self, patience: Duration) -> Option<String> {
        let answer = self.ask("srvr", patience).await.ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    /// Waits until the server serves, alone or as a member of its ensemble.
    ///
    /// # Errors
    ///
    /// When it does not within the start timeout, or is not running any more.
    pub async fn wait_until_serving(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.start_timeout;
        for attempt in 1_u32.. {
            // A server that is just starting accepts connections which it then forgets. Patience grows slowly, so that
            // a slow machine gets there too.
            let patience = (FIRST_PATIENCE * (1 + attempt / 10)).min(WORD_PATIENCE);
            if self.mode_within(patience).await.is_some() {
                return Ok(());
            }
            // The engine is asked seldom, since that takes longer than asking the server.
            let dead = attempt % 20 == 0 && !self.node.is_running().await?;
            if dead || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Error::NotServing { address: self.address(), within: self.start_timeout, log: self.node.log().await })
    }

    /// The end of the server's log.
    pub async fn log(&self) -> String {
        self.node.log().await
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_state(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn expect(&self, wanted: State, advice: &'static str) -> Result<(), Error> {
        match self.state() {
            state if state == wanted => Ok(()),
            state => Err(Error::State { address: self.address(), state: state.name(), advice }),
        }
    }
}
