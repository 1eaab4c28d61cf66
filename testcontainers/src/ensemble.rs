//! Three ZooKeeper servers that elect a leader.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::container::{self, Container, Engine, Network};
use crate::error::Error;
use crate::node::{Launch, Node};
use crate::ports::Port;
use crate::process::{Installation, ProcessNode};
use crate::proxy::{Proxy, join_addresses};
use crate::runtime::{Means, Runtime};
use crate::server::{Server, State};
use crate::settings::{Settings, knobs};

/// How many servers an ensemble has: the fewest that survive the loss of one.
const SIZE: usize = 3;

/// An ensemble of three real servers. Dropping it removes them with their data.
///
/// In containers, all servers share the network of a fourth container, which does nothing but keep the ports: so the
/// addresses stay the same whatever happens to the servers, and the servers find each other without looking up names.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<Server>,
    holder: Option<Container>,
    start_timeout: Duration,
}

/// Configures an [`Ensemble`].
#[derive(Debug, Clone, Default)]
pub struct EnsembleBuilder {
    settings: Settings,
}

knobs!(EnsembleBuilder);

impl EnsembleBuilder {
    /// Starts the servers and waits until all of them serve.
    ///
    /// # Errors
    ///
    /// When there is no way to run servers here, or they do not serve in time.
    pub async fn start(self) -> Result<Ensemble, Error> {
        let settings = Arc::new(self.settings);
        settings.check()?;
        let means = Means::find(settings.runtime).await?;
        let ensemble = match &means {
            Means::Container(engine) => {
                container::with_other_ports_if_taken(async || in_containers(engine, means.runtime(), &settings).await)
                    .await?
            }
            Means::Process(installation) => as_processes(installation, &means.runtime(), &settings)?,
        };
        ensemble.wait_until_serving().await?;
        Ok(ensemble)
    }
}

async fn in_containers(engine: &Engine, runtime: Runtime, settings: &Arc<Settings>) -> Result<Ensemble, Error> {
    let ports = (0..SIZE).map(|_| Port::reserve()).collect::<Result<Vec<_>, _>>()?;
    let published: Vec<_> = ports.iter().zip(2181..).map(|(port, inner)| (port.number(), inner)).collect();
    let holder = Arc::new(engine.hold_ports(&published).await?);
    let peers: Arc<Vec<_>> = Arc::new(
        (1..=SIZE).map(|id| format!("server.{id}=127.0.0.1:{}:{};{}", 2887 + id, 3887 + id, 2180 + id)).collect(),
    );
    let mut starting = tokio::task::JoinSet::new();
    for (id, port) in (1..=SIZE).zip(ports) {
        let (engine, holder, peers) = (engine.clone(), Arc::clone(&holder), Arc::clone(&peers));
        let (settings, runtime) = (Arc::clone(settings), runtime.clone());
        starting.spawn(async move {
            let launch = Launch { settings: &settings, id, peers: &peers };
            let node = engine.start(&launch, Network::Of(&holder)).await?;
            Ok::<_, Error>((id, Server::new(Node::Container(Box::new(node)), port, runtime, &settings)))
        });
    }
    let started = starting.join_all().await.into_iter().collect::<Result<Vec<_>, _>>();
    // The tasks that shared it are over.
    let holder = Arc::into_inner(holder);
    let mut servers = match started {
        Ok(servers) => servers,
        Err(error) => {
            container::remove(holder.into_iter().collect());
            return Err(error);
        }
    };
    servers.sort_by_key(|(id, _)| *id);
    let servers = servers.into_iter().map(|(_, server)| server).collect();
    Ok(Ensemble { servers, holder, start_timeout: settings.start_timeout })
}

fn as_processes(installation: &Installation, runtime: &Runtime, settings: &Settings) -> Result<Ensemble, Error> {
    let reserve = || (0..SIZE).map(|_| Port::reserve()).collect::<Result<Vec<_>, _>>();
    let (client, quorum, election) = (reserve()?, reserve()?, reserve()?);
    let peers: Vec<_> = client
        .iter()
        .zip(quorum.iter().zip(&election))
        .enumerate()
        .map(|(index, (client, (quorum, election)))| {
            let id = index + 1;
            let (client, quorum, election) = (client.number(), quorum.number(), election.number());
            format!("server.{id}=127.0.0.1:{quorum}:{election};127.0.0.1:{client}")
        })
        .collect();
    let servers =
        client.into_iter().zip(quorum.into_iter().zip(election)).enumerate().map(|(index, (client, rest))| {
            let launch = Launch { settings, id: index + 1, peers: &peers };
            let node = ProcessNode::launch(installation, &launch, &[])?;
            let mut server = Server::new(Node::Process(Box::new(node)), client, runtime.clone(), settings);
            server.keep_ports([rest.0, rest.1]);
            Ok(server)
        });
    let servers = servers.collect::<Result<_, Error>>()?;
    Ok(Ensemble { servers, holder: None, start_timeout: settings.start_timeout })
}

impl Ensemble {
    /// Starts an ensemble with the default settings and waits until all of its servers serve.
    ///
    /// # Errors
    ///
    /// When there is no way to run servers here, or they do not serve in time.
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// To change settings before the start.
    #[must_use]
    pub fn builder() -> EnsembleBuilder {
        EnsembleBuilder::default()
    }

    /// The addresses of all servers, as a client wants them; always the same.
    #[must_use]
    pub fn connect_string(&self) -> String {
        join_addresses(self.servers.iter().map(Server::address))
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// What the servers run in.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        // There are always three.
        self.servers[0].runtime()
    }

    /// The index of the leader among [`servers`](Self::servers). A paused server is not asked; of two that think they
    /// lead, which happens for a moment after a pause, it is the one of the later epoch.
    ///
    /// # Errors
    ///
    /// When no server leads at present.
    pub async fn leader(&self) -> Result<usize, Error> {
        let leaders = self.leaders().await;
        leaders.into_iter().max().map(|(_, index)| index).ok_or(Error::NoLeader)
    }

    /// The servers that think they lead: (epoch, index).
    async fn leaders(&self) -> Vec<(u64, usize)> {
        let mut leaders = Vec::new();
        for (index, server) in self.servers.iter().enumerate().filter(|(_, server)| server.state() == State::Running) {
            let answer = server.four_letter("srvr").await.unwrap_or_default();
            if answer.lines().any(|line| line == "Mode: leader") {
                let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
                let zxid = zxid.and_then(|zxid| u64::from_str_radix(zxid, 16).ok()).unwrap_or_default();
                leaders.push((zxid >> 32, index));
            }
        }
        leaders
    }

    /// Waits until every server that is neither down nor paused leads or follows, and exactly one of them leads.
    ///
    /// # Errors
    ///
    /// When that is not so within the start timeout.
    pub async fn wait_until_serving(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.start_timeout;
        loop {
            for server in self.servers.iter().filter(|server| server.state() == State::Running) {
                server.wait_until_serving().await?;
            }
            if self.leaders().await.len() == 1 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::NoLeader);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A new proxy in front of each server, in the same order. See [`join_addresses`] for their connect string.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Error> {
        let mut proxies = Vec::new();
        for server in &self.servers {
            proxies.push(Proxy::start(server.address()).await?);
        }
        Ok(proxies)
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        let mut containers: Vec<_> = self.servers.iter_mut().filter_map(Server::give_up).collect();
        containers.extend(self.holder.take());
        container::remove(containers);
    }
}
