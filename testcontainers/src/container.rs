//! A server in a container.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::PortBinding;
use testcontainers::bollard::query_parameters::{
    KillContainerOptionsBuilder, LogsOptionsBuilder, StartContainerOptions, StatsOptionsBuilder,
    StopContainerOptionsBuilder,
};
use testcontainers::core::ContainerPort;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};

use crate::error::Error;
use crate::node::Launch;
use crate::{control_group, image, owner};

/// How many sets of ports are tried when the engine says that one is taken.
const ATTEMPTS: usize = 5;

/// How often a container that does not freeze is tried again, and after which pause: 15 s in all.
const FREEZES_MAX: u32 = 150;
const FREEZE_PAUSE: Duration = Duration::from_millis(100);

pub(crate) type Container = ContainerAsync<GenericImage>;

#[derive(Debug)]
pub(crate) struct ContainerNode {
    /// Empty only while it is being dropped.
    container: Option<Container>,
    id: String,
    docker: Docker,
}

/// The engine, asked once whether it answers.
pub(crate) async fn engine() -> Result<Docker, Error> {
    let docker = docker_client_instance().await.map_err(|e| Error::NoEngine(e.to_string()))?;
    match tokio::time::timeout(Duration::from_secs(5), docker.ping()).await {
        Ok(Ok(_)) => Ok(docker),
        Ok(Err(error)) => Err(Error::NoEngine(error.to_string())),
        Err(_) => Err(Error::NoEngine("no answer within 5 s".to_owned())),
    }
}

/// What containers are started with: the engine and the image.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    docker: Docker,
    pub(crate) image: String,
}

impl Engine {
    pub(crate) async fn new(docker: Docker) -> Result<Self, Error> {
        owner::remove_leftovers(&docker).await;
        let image = image::choose(&docker).await?;
        Ok(Self { docker, image })
    }

    /// Fails where "the host's network" of a container is that of a virtual machine or of another namespace.
    pub(crate) async fn check_host_network(&self) -> Result<(), Error> {
        if !cfg!(target_os = "linux") {
            return Err(Error::NoHostNetwork("they run in a virtual machine".to_owned()));
        }
        let info = self.docker.info().await.map_err(Error::engine("tell about itself"))?;
        let system = info.operating_system.unwrap_or_default();
        if system.contains("Desktop") {
            return Err(Error::NoHostNetwork(format!("they run in the virtual machine of {system}")));
        }
        match info.security_options.unwrap_or_default().into_iter().find(|option| option.contains("rootless")) {
            Some(option) => Err(Error::NoHostNetwork(option)),
            None => Ok(()),
        }
    }

    fn request(&self) -> GenericImage {
        // A digest has a colon too, and is put together again in the same way.
        let name_from = self.image.rfind('/').map_or(0, |slash| slash + 1);
        match self.image[name_from..].rfind(':') {
            Some(colon) => GenericImage::new(&self.image[..name_from + colon], &self.image[name_from + colon + 1..]),
            None => GenericImage::new(self.image.as_str(), "latest"),
        }
    }

    /// Starts a container that does nothing but keep a network with published ports: (host, container).
    pub(crate) async fn hold_ports(&self, ports: &[(u16, u16)]) -> Result<Container, Error> {
        // The engine publishes only ports that are exposed, and the image exposes those of one server.
        let exposed = ports.iter().fold(self.request().with_entrypoint("sleep"), |request, (_, inner)| {
            request.with_exposed_port(ContainerPort::Tcp(*inner))
        });
        self.run(publish(exposed.with_cmd(["2147483647"]), ports)).await
    }

    /// Starts a server with published ports of its own, or in the network of a holder.
    pub(crate) async fn start(&self, launch: &Launch<'_>, network: Network<'_>) -> Result<ContainerNode, Error> {
        let settings = launch.settings;
        let request = match network {
            Network::Published(ports) => publish(self.request().into(), ports),
            Network::Of(holder) => self.request().with_network(format!("container:{}", holder.id())),
            Network::Host => self.request().with_network("host"),
        };
        let request = request
            .with_env_var("ZOO_MY_ID", launch.id.to_string())
            .with_env_var("ZOO_SERVERS", launch.peers.join(" "))
            .with_env_var("ZOO_TICK_TIME", settings.tick_millis().to_string())
            .with_env_var("ZOO_INIT_LIMIT", settings.init_limit.to_string())
            .with_env_var("ZOO_SYNC_LIMIT", settings.sync_limit.to_string())
            .with_env_var("ZOO_MAX_CLIENT_CNXNS", "0")
            .with_env_var("ZOO_ADMINSERVER_ENABLED", "false")
            .with_env_var("ZOO_4LW_COMMANDS_WHITELIST", "*")
            .with_env_var("ZOO_CFG_EXTRA", settings.extra_lines().join(" "))
            .with_env_var("JVMFLAGS", settings.jvm_flags().join(" "));
        let container = self.run(request).await?;
        Ok(ContainerNode { id: container.id().to_owned(), container: Some(container), docker: self.docker.clone() })
    }

    async fn run(&self, request: ContainerRequest<GenericImage>) -> Result<Container, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("fairlock-{}-{number}-{nanos:x}", std::process::id());
        let started = request.with_container_name(&name).with_label(owner::LABEL, owner::this_process()).start().await;
        if started.is_err() {
            // A container that was created but could not be started has no owner that would remove it.
            owner::remove(&self.docker, &name).await;
        }
        started.map_err(Error::engine("start a container"))
    }
}

/// Repeats a start with new ports as long as the engine says that they are taken.
pub(crate) async fn with_other_ports_if_taken<T>(mut start: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        match start().await {
            Err(Error::Engine { why, .. }) if attempt < ATTEMPTS && is_taken(&why) => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn is_taken(why: &str) -> bool {
    why.contains("already allocated") || why.contains("already in use")
}

/// Where a server's ports are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Network<'a> {
    /// (host, container)
    Published(&'a [(u16, u16)]),
    Of(&'a Container),
    Host,
}

/// Publishes on the loopback address only: these servers have no access control.
fn publish(request: ContainerRequest<GenericImage>, ports: &[(u16, u16)]) -> ContainerRequest<GenericImage> {
    let bindings: HashMap<_, _> = ports
        .iter()
        .map(|(host, inner)| {
            let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host.to_string()) };
            (format!("{inner}/tcp"), Some(vec![binding]))
        })
        .collect();
    request.with_host_config_modifier(move |config| {
        config.publish_all_ports = Some(false);
        config.port_bindings = Some(bindings.clone());
    })
}

impl ContainerNode {
    pub(crate) async fn start(&self) -> Result<(), Error> {
        self.docker
            .start_container(&self.id, None::<StartContainerOptions>)
            .await
            .map_err(Error::engine("start a container again"))
    }

    pub(crate) async fn stop(&self) -> Result<(), Error> {
        let options = StopContainerOptionsBuilder::new().t(10).build();
        self.docker.stop_container(&self.id, Some(options)).await.map_err(Error::engine("stop a container"))
    }

    pub(crate) async fn kill(&self) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        self.docker.kill_container(&self.id, Some(options)).await.map_err(Error::engine("kill a container"))?;
        // The engine only sends the signal; a start before the process is gone would do nothing.
        while self.is_running().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    pub(crate) async fn pause(&self) -> Result<(), Error> {
        let mut refusals = 0;
        loop {
            match self.docker.pause_container(&self.id).await {
                Ok(()) => return Ok(()),
                Err(error) if is_freezing_race(&error) && refusals < FREEZES_MAX => refusals += 1,
                Err(error) => return Err(Error::engine("pause a container")(error)),
            }
            tokio::time::sleep(FREEZE_PAUSE).await;
        }
    }

    pub(crate) async fn unpause(&self) -> Result<(), Error> {
        self.docker.unpause_container(&self.id).await.map_err(Error::engine("unpause a container"))
    }

    pub(crate) async fn is_running(&self) -> Result<bool, Error> {
        let found =
            self.docker.inspect_container(&self.id, None).await.map_err(Error::engine("inspect a container"))?;
        Ok(found.state.and_then(|state| state.running).unwrap_or(false))
    }

    pub(crate) async fn cpu_time(&self) -> Result<Duration, Error> {
        let found =
            self.docker.inspect_container(&self.id, None).await.map_err(Error::engine("inspect a container"))?;
        let process = found.state.and_then(|state| state.pid).filter(|process| *process > 0);
        if let Some(time) = process.and_then(|process| control_group::cpu_time(process, &self.id)) {
            return Ok(time);
        }
        // At once: otherwise the engine takes two looks, a second apart.
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut all = Box::pin(self.docker.stats(&self.id, Some(options)));
        let stats = std::future::poll_fn(|context| futures_core::Stream::poll_next(all.as_mut(), context)).await;
        let silence = || Error::engine("tell the processor time of a container")("it does not say");
        let stats = stats.ok_or_else(silence)?.map_err(Error::engine("tell the processor time of a container"))?;
        let usage = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|usage| usage.total_usage);
        usage.map(Duration::from_nanos).ok_or_else(silence)
    }

    pub(crate) async fn log(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("30").build();
        let mut lines = Box::pin(self.docker.logs(&self.id, Some(options)));
        let mut log = String::new();
        while let Some(Ok(line)) =
            std::future::poll_fn(|context| futures_core::Stream::poll_next(lines.as_mut(), context)).await
        {
            log.push_str(&line.to_string());
        }
        log
    }

    /// Hands the container over to be removed together with others.
    pub(crate) fn give_up(&mut self) -> Option<Container> {
        self.container.take()
    }
}

/// Whether the runtime gave up freezing a busy container. With version 1 of control groups it tries for some milliseconds only,
/// thaws what it froze, and leaves trying again to its caller (opencontainers/runc#4388).
fn is_freezing_race(error: &impl std::fmt::Display) -> bool {
    error.to_string().contains("unable to freeze")
}

impl Drop for ContainerNode {
    fn drop(&mut self) {
        remove(self.container.take().into_iter().collect());
    }
}

/// Removes containers at the same time, with their volumes, and returns when they are gone. Works in every kind of
/// runtime and outside of one, which dropping a container of the `testcontainers` crate does not.
pub(crate) fn remove(containers: Vec<Container>) {
    if containers.is_empty() {
        return;
    }
    let work = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let mut removals = tokio::task::JoinSet::new();
            for container in containers {
                removals.spawn(container.rm());
            }
            // A failure leaves a container for the next process to remove.
            while removals.join_next().await.is_some() {}
        });
    };
    let _ = std::thread::spawn(work).join();
}
