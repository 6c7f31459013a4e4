//! The boot service: `bind` opens the sockets, `start` spawns the tasks, `run` waits for them.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use netboot_protocol::{Network, clash};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::endpoint::{BoundNetwork, EndpointV4, EndpointV6};
use crate::error::NetbootError;
use crate::files::Files;
use crate::firmware::FirmwareTimes;
use crate::leases::journal::Journal;
use crate::leases::{self, JournalQueue, LeaseTable, Pending};
use crate::networks::Networks;
use crate::shared::Shared;
use crate::socket6::server_duid;
use crate::source::BootSource;
use crate::tasks::Tasks;

/// The boot service with its sockets open and nothing running.
pub struct Netboot {
    config: Config,
    endpoints: Vec<EndpointV4>,
    endpoints_v6: Vec<EndpointV6>,
    bound: Vec<BoundNetwork>,
    leases: LeaseTable,
    leases6: LeaseTable<Ipv6Addr>,
    networks: Networks,
    journal: Journal,
    queue: JournalQueue,
    records: mpsc::Receiver<Pending>,
}

impl Netboot {
    /// Opens the journal and all sockets. Needs a tokio runtime; the standard ports need
    /// CAP_NET_BIND_SERVICE, CAP_NET_RAW and CAP_NET_ADMIN.
    pub async fn bind(config: Config) -> Result<Netboot, NetbootError> {
        if config.networks.is_empty() {
            return Err(NetbootError::NoNetworks);
        }
        for (i, new) in config.networks.iter().enumerate() {
            if let Some((old, why)) = clash(&config.networks[..i], new) {
                let (old, new) = (old.name().to_owned(), new.name().to_owned());
                return Err(NetbootError::Clash(old, new, why));
            }
        }
        raise_file_limit();
        let path = &config.lease_journal;
        let what = format!("open the lease journal {}", path.display());
        let (leases, leases6, journal) =
            leases::open(path, &config.networks).map_err(NetbootError::io(what))?;
        let (queue, records) = JournalQueue::new();
        let states = Networks::new(&config.networks, leases.clone(), leases6.clone(), queue.weak());
        let (mut endpoints, mut endpoints_v6, mut bound) = (Vec::new(), Vec::new(), Vec::new());
        for (server, networks) in by_server(&config.networks, |network| Some(network.server())) {
            let endpoint = EndpointV4::open(&config, server, networks, &states).await?;
            bound.extend(endpoint.bound()?);
            endpoints.push(endpoint);
        }
        let by_server_v6 = by_server(&config.networks, |network| Some(network.v6()?.server()));
        let mut duid = Arc::default();
        if !by_server_v6.is_empty() {
            let path = config.lease_journal.with_file_name("dhcp6-duid");
            let what = format!("keep our DHCPv6 identifier in {}", path.display());
            duid = Arc::new(server_duid(&path).map_err(NetbootError::io(what))?);
        }
        for (server, networks) in by_server_v6 {
            let endpoint = EndpointV6::open(&config, server, duid.clone(), networks, &states).await?;
            for there in bound.iter_mut().filter(|there| endpoint.serves(&there.network)) {
                there.v6 = Some(endpoint.bound()?);
            }
            endpoints_v6.push(endpoint);
        }
        let place = |b: &BoundNetwork| config.networks.iter().position(|n| n.name() == b.network);
        bound.sort_by_key(place);
        Ok(Netboot {
            config,
            endpoints,
            endpoints_v6,
            bound,
            leases,
            leases6,
            networks: states,
            journal,
            queue,
            records,
        })
    }

    /// Where each network is served, in configuration order.
    pub fn bound(&self) -> &[BoundNetwork] {
        &self.bound
    }

    /// The leases; the view stays valid while the service runs.
    pub fn leases(&self) -> LeaseTable {
        self.leases.clone()
    }

    /// The networks' state; the view stays valid while the service runs.
    pub fn networks(&self) -> Networks {
        self.networks.clone()
    }

    /// Spawns the service's tasks. They end when `cancel` is cancelled.
    pub fn start<S: BootSource>(self, source: Arc<S>, cancel: CancellationToken) -> Running {
        self.leases.mark_known(|mac| source.known(mac));
        self.leases6.mark_known(|mac| source.known(mac));
        let (journal, records) = (self.journal, self.records);
        let mut tasks = Tasks::new();
        tasks.spawn(crate::log::serve(cancel.clone()));
        tasks.spawn_blocking(move || {
            leases::write_loop(journal, records);
            Ok(())
        });
        let shared = Arc::new(Shared {
            files: Files::new(&self.config),
            config: self.config,
            leases: self.leases,
            leases6: self.leases6,
            queue: self.queue,
            networks: self.networks,
            source,
            firmware: FirmwareTimes::default(),
            cancel: cancel.clone(),
        });
        for endpoint in self.endpoints_v6 {
            endpoint.start(&shared, &mut tasks);
        }
        for endpoint in self.endpoints {
            endpoint.start(&shared, &mut tasks);
        }
        Running { tasks, cancel }
    }
}

/// The networks served from each of our addresses.
fn by_server<A: Ord>(
    networks: &[Network],
    server: impl Fn(&Network) -> Option<A>,
) -> BTreeMap<A, Vec<Network>> {
    let mut all: BTreeMap<A, Vec<Network>> = BTreeMap::new();
    for network in networks {
        if let Some(server) = server(network) {
            all.entry(server).or_default().push(network.clone());
        }
    }
    all
}

/// Raises the soft limit on open files to the hard limit. Every connection takes a socket and every transfer
/// one or two: more than the default of 1024. If even the hard limit is reached, requests wait.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}

/// The running boot service.
pub struct Running {
    tasks: Tasks,
    cancel: CancellationToken,
}

impl Running {
    /// Waits until the service is cancelled (`Ok`), or a task fails or panics (`Err`; the other tasks are
    /// stopped).
    pub async fn run(mut self) -> Result<(), NetbootError> {
        while let Some(ended) = self.tasks.join_next().await {
            let result = ended.unwrap_or_else(|error| Err(NetbootError::Panicked(error.to_string())));
            if result.is_err() {
                self.cancel.cancel();
                return result;
            }
        }
        Ok(())
    }
}
