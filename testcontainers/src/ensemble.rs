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
use crate::relay::{PeerPorts, Relays};
use crate::runtime::{Means, Runtime};
use crate::server::{Server, State};
use crate::settings::{RuntimeChoice, Settings, knobs};

/// How many servers an ensemble has: the fewest that survive the loss of one.
const SIZE: usize = 3;

/// An ensemble of three real servers. Dropping it removes them with their data.
///
/// In containers, all servers share the network of a fourth container, which does nothing but keep the ports: so the
/// addresses stay the same whatever happens to the servers, and the servers find each other without looking up names.
/// Those of an [isolatable](EnsembleBuilder::isolatable) ensemble use this host's network instead.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<Server>,
    holder: Option<Container>,
    relays: Option<Relays>,
    start_timeout: Duration,
}

/// Configures an [`Ensemble`].
#[derive(Debug, Clone, Default)]
pub struct EnsembleBuilder {
    settings: Settings,
    isolatable: bool,
}

knobs!(EnsembleBuilder);

impl EnsembleBuilder {
    /// Puts relays between the servers, so that [`Ensemble::isolate`] can cut one off from the others. The relays are
    /// tasks of the runtime that starts the ensemble, and stand still if it does.
    ///
    /// Containers then use this host's network, which only Linux lets them. Where they cannot, processes are used,
    /// unless containers were asked for.
    #[must_use]
    pub fn isolatable(mut self) -> Self {
        self.isolatable = true;
        self
    }

    /// Starts the servers and waits until all of them serve.
    ///
    /// # Errors
    ///
    /// When there is no way to run servers here, or they do not serve in time.
    pub async fn start(self) -> Result<Ensemble, Error> {
        let settings = Arc::new(self.settings);
        settings.check()?;
        let means = Means::find(settings.runtime).await?;
        let ensemble = if self.isolatable {
            let means = with_host_network(means, settings.runtime).await?;
            container::with_other_ports_if_taken(async || with_relays(&means, &settings).await).await?
        } else {
            match &means {
                Means::Container(engine) => {
                    container::with_other_ports_if_taken(async || {
                        in_containers(engine, means.runtime(), &settings).await
                    })
                    .await?
                }
                Means::Process(installation) => as_processes(installation, &means.runtime(), &settings)?,
            }
        };
        ensemble.wait_until_serving().await?;
        Ok(ensemble)
    }
}

/// Processes in place of containers that cannot use this host's network, unless those were asked for.
async fn with_host_network(means: Means, asked_for: Option<RuntimeChoice>) -> Result<Means, Error> {
    let Means::Container(engine) = &means else { return Ok(means) };
    match engine.check_host_network().await {
        Ok(()) => Ok(means),
        Err(Error::NoHostNetwork(why)) if RuntimeChoice::resolve(asked_for)? == RuntimeChoice::Auto => {
            let process = Installation::find().map_err(|error| error.to_string());
            process
                .map(Means::Process)
                .map_err(|process| Error::NoRuntime { container: Error::NoHostNetwork(why).to_string(), process })
        }
        Err(error) => Err(error),
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
    Ok(Ensemble { servers, holder, relays: None, start_timeout: settings.start_timeout })
}

/// The ports of a server that is not alone in its network.
#[derive(Debug)]
struct Ports {
    client: Port,
    quorum: Port,
    election: Port,
}

impl Ports {
    fn reserve() -> Result<Vec<Self>, Error> {
        let one = || Ok(Self { client: Port::reserve()?, quorum: Port::reserve()?, election: Port::reserve()? });
        (0..SIZE).map(|_| one()).collect()
    }

    fn for_peers(&self) -> PeerPorts {
        PeerPorts { quorum: self.quorum.number(), election: self.election.number() }
    }
}

/// A line of zoo.cfg on a server of this host.
fn peer(index: usize, peer: PeerPorts, client: u16) -> String {
    let PeerPorts { quorum, election } = peer;
    format!("server.{}=127.0.0.1:{quorum}:{election};127.0.0.1:{client}", index + 1)
}

fn process(installation: &Installation, launch: &Launch<'_>, ports: Ports, runtime: &Runtime) -> Result<Server, Error> {
    let node = Node::Process(Box::new(ProcessNode::launch(installation, launch, &[])?));
    let mut server = Server::new(node, ports.client, runtime.clone(), launch.settings);
    server.keep_ports([ports.quorum, ports.election]);
    Ok(server)
}

fn as_processes(installation: &Installation, runtime: &Runtime, settings: &Settings) -> Result<Ensemble, Error> {
    let ports = Ports::reserve()?;
    let peers: Vec<_> =
        ports.iter().enumerate().map(|(index, own)| peer(index, own.for_peers(), own.client.number())).collect();
    let servers = ports.into_iter().enumerate().map(|(index, ports)| {
        process(installation, &Launch { settings, id: index + 1, peers: &peers }, ports, runtime)
    });
    let servers = servers.collect::<Result<_, Error>>()?;
    Ok(Ensemble { servers, holder: None, relays: None, start_timeout: settings.start_timeout })
}

async fn with_relays(means: &Means, settings: &Settings) -> Result<Ensemble, Error> {
    let ports = Ports::reserve()?;
    let for_peers: Vec<_> = ports.iter().map(Ports::for_peers).collect();
    let clients: Vec<_> = ports.iter().map(|ports| ports.client.number()).collect();
    let relays = Relays::start(&for_peers).await?;
    // What has started is removed with the ensemble if the rest fails to.
    let mut ensemble =
        Ensemble { servers: Vec::new(), holder: None, relays: None, start_timeout: settings.start_timeout };
    for (own, ports) in ports.into_iter().enumerate() {
        let peers: Vec<_> = clients
            .iter()
            .enumerate()
            .map(|(index, client)| {
                let place = if index == own { for_peers[own] } else { relays.ports(own, index) };
                peer(index, place, *client)
            })
            .collect();
        let launch = Launch { settings, id: own + 1, peers: &peers };
        ensemble.servers.push(match means {
            Means::Container(engine) => {
                let node = Node::Container(Box::new(engine.start(&launch, Network::Host).await?));
                let mut server = Server::new(node, ports.client, means.runtime(), settings);
                server.keep_ports([ports.quorum, ports.election]);
                server
            }
            Means::Process(installation) => process(installation, &launch, ports, &means.runtime())?,
        });
    }
    ensemble.relays = Some(relays);
    Ok(ensemble)
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

    /// The index of the leader among [`servers`](Self::servers). A paused or isolated server is not asked; of two that
    /// think they lead, which happens for a moment after a pause, it is the one of the later epoch.
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
        for (index, server) in self.in_touch() {
            let answer = server.four_letter("srvr").await.unwrap_or_default();
            if answer.lines().any(|line| line == "Mode: leader") {
                let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
                let zxid = zxid.and_then(|zxid| u64::from_str_radix(zxid, 16).ok()).unwrap_or_default();
                leaders.push((zxid >> 32, index));
            }
        }
        leaders
    }

    /// The servers that take part: neither down, nor paused, nor isolated.
    fn in_touch(&self) -> impl Iterator<Item = (usize, &Server)> {
        let isolated = |index| self.relays.as_ref().is_some_and(|relays| relays.is_cut_off(index));
        let servers = self.servers.iter().enumerate();
        servers.filter(move |(index, server)| server.state() == State::Running && !isolated(*index))
    }

    /// Waits until every server that is neither down nor paused nor isolated leads or follows, and exactly one of them
    /// leads.
    ///
    /// # Errors
    ///
    /// When that is not so within the start timeout.
    pub async fn wait_until_serving(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.start_timeout;
        loop {
            for (_, server) in self.in_touch() {
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

    /// Cuts a server off from the others: what they send to each other stalls, and new connections lead nowhere.
    /// Clients reach all of them as before. Isolating one that is isolated changes nothing.
    ///
    /// # Errors
    ///
    /// When the ensemble was not built to be [isolatable](EnsembleBuilder::isolatable).
    pub fn isolate(&self, index: usize) -> Result<(), Error> {
        self.set_isolated(index, true)
    }

    /// Ends [`isolate`](Self::isolate): what was stalled arrives, late, and connections that were opened meanwhile are
    /// closed.
    ///
    /// # Errors
    ///
    /// As for [`isolate`](Self::isolate).
    pub fn heal(&self, index: usize) -> Result<(), Error> {
        self.set_isolated(index, false)
    }

    fn set_isolated(&self, index: usize, isolated: bool) -> Result<(), Error> {
        self.relays.as_ref().ok_or(Error::NotIsolatable)?.set_cut_off(index, isolated);
        Ok(())
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
