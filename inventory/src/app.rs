//! The server as a whole: `bind` opens everything, `spawn` starts the tasks, `run` waits until they end.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use netboot::slots::Standing;
use netboot::{BoundNetwork, Netboot};
use netboot_protocol::{GRUB, Loader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::boot_files;
use crate::data_dir::{make_data_dir, open_data_dir, store_file};
use crate::error::{AppError, io};
use crate::tokens;
use config::Config;
use service::Service;
use service::boot::missing::{There, missing};
use service::boot::{Boot, mac_refresh};
use service::core::{Clock, Core, Memory};
use service::deadlines;
use store::Store;
use tls::{Authority, ServerCertificate};

/// How often the server's certificate is checked for renewal. It is renewed when half of its two years are
/// left.
const RENEW_EVERY: Duration = Duration::from_secs(12 * 3600);

/// Addresses and files, known once everything is open.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Address of the TLS listener for API, agents and pages.
    pub api: SocketAddr,
    /// Where each network is served.
    pub networks: Vec<BoundNetwork>,
    /// Certificate of the authority, PEM; clients must trust it.
    pub ca_pem: String,
    /// File of that certificate.
    pub ca_file: PathBuf,
    /// The admin token, `Some` only if the store had no token. A secret: shown once, only its digest is
    /// stored.
    pub first_token: Option<String>,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// The server with everything open and no task running.
pub struct App {
    bound: Bound,
    service: Arc<Service>,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    certificate: Arc<ServerCertificate>,
    netboot: Option<Netboot>,
    lock: File,
}

/// The running server. Dropping it aborts its tasks at once.
pub struct Running {
    bound: Bound,
    service: Arc<Service>,
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), AppError>)>,
    _lock: File,
}

impl App {
    /// Opens the data directory, store, authority and sockets.
    ///
    /// # Errors
    /// Says what was tried, on what, and what to do.
    pub async fn bind(config: Config) -> Result<App, AppError> {
        App::bind_with(config, Clock::system()).await
    }

    /// Like [`App::bind`], with the given clock.
    pub async fn bind_with(config: Config, clock: Clock) -> Result<App, AppError> {
        let lock = open_data_dir(&config.data_dir)?;
        let now = clock.now();
        let store = Store::open(&store_file(&config.data_dir)).await?;
        store.index_identities().await?;
        if let Some(made) = store.newest_certificate().await?
            && let days @ 1.. = (made.0 - now.0) / 86_400_000
        {
            tracing::warn!(
                "this server's clock is {days} days behind the newest machine certificate that it signed: it refuses agents \
                 whose certificates start in its future. Set the clock"
            );
        }
        let ca_dir = config.data_dir.join("ca");
        let authority = Authority::open(&ca_dir, now)?;
        let pair = authority.server_certificate(&config.data_dir.join("tls"), &config.tls_names(), now)?;
        let certificate = Arc::new(ServerCertificate::new(pair)?);
        let tls = tls::server_config(authority.certificate(), certificate.clone())?;
        let listener = TcpListener::bind(config.api.listen).await.map_err(io(format!(
            "listen on {} for the API ([api] listen)",
            config.api.listen
        )))?;
        let api = listener.local_addr().map_err(io("ask for the API's address"))?;
        for missing in missing(&config, There::look(&config, false)) {
            tracing::warn!("{}", missing.what.sentence);
        }
        let mut loaders = Vec::new();
        let mut netboot = None;
        if !config.networks.is_empty() {
            let settings = boot_files::netboot_config(&config, authority.pem())?;
            let has = |name: &str| settings.boot_files.contains_key(name);
            let usable = |loader: &Loader| has(loader.file()) && (*loader != Loader::Signed || has(GRUB));
            loaders.extend(Loader::ALL.into_iter().filter(usable));
            netboot = Some(Netboot::bind(settings).await?);
        }
        let first_token = tokens::first(&store, &clock).await?;
        let bound = Bound {
            api,
            networks: netboot.as_ref().map(|n| n.bound().to_vec()).unwrap_or_default(),
            ca_pem: authority.pem().to_owned(),
            ca_file: ca_dir.join("ca.pem"),
            first_token,
            data_dir: config.data_dir.clone(),
        };
        let core = Core {
            config,
            store,
            authority,
            clock,
            memory: Memory::default(),
            stop: CancellationToken::new(),
        };
        core.memory.loaders.set_there(loaders);
        if let Some(netboot) = &netboot {
            // The memory is new, so this cannot have been set before.
            let _ = core.memory.networks.set(netboot.networks());
        }
        mac_refresh::load(&core).await?;
        let (trials, models) = (core.store.loader_trials().await?, core.store.nic_models().await?);
        core.memory.loaders.restore(trials, models);
        let service = Arc::new(Service::new(Arc::new(core)));
        Ok(App {
            bound,
            service,
            listener,
            tls,
            certificate,
            netboot,
            lock,
        })
    }

    /// Binds and starts.
    pub async fn start(config: Config) -> Result<Running, AppError> {
        Ok(App::bind(config).await?.spawn())
    }

    /// Addresses and files of the server.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Spawns the server's tasks.
    pub fn spawn(self) -> Running {
        let App { bound, service, .. } = self;
        let core = service.core().clone();
        let stop = core.stop.clone();
        let mut tasks = JoinSet::new();
        // The UI router has the fallback: HTML for people, a problem for paths of the API.
        let router = inventory_http::router(service.clone()).merge(ui::router(service.clone()));
        let for_broken = core.clone();
        let on_broken: tls::OnBroken = Arc::new(move |peer, why| {
            let address = peer.ip().to_canonical();
            service::tls_broken(&for_broken, address, why);
            let (broken, now) = (&for_broken.memory.broken_tls, for_broken.clock.now());
            if let Some(why) = why.filter(|why| broken.note(address, *why, now)) {
                tracing::warn!("the agent at {address} {why}");
            }
        });
        let leases = self.netboot.as_ref().map(Netboot::leases);
        let for_leases = core.clone();
        let standing_of: tls::StandingOf = Arc::new(move |address| {
            let (IpAddr::V4(address), Some(leases)) = (address, &leases) else {
                return Standing::Stranger;
            };
            let holder = leases.holder_anywhere(address, for_leases.clock.now());
            holder.map_or(Standing::Stranger, |_| Standing::Lease)
        });
        let (limits, end) = (tls::Limits::default(), stop.clone());
        let serving = tls::serve(
            self.listener,
            self.tls,
            router,
            limits,
            standing_of,
            on_broken,
            end,
        );
        tasks.spawn(named("API", serving));
        let (renewing, certificate) = (core.clone(), self.certificate);
        tasks.spawn(named("certificate", async move {
            renew(&renewing, &certificate).await
        }));
        let waiting = core.clone();
        tasks.spawn(named("deadline", async move { deadlines::run(&waiting).await }));
        let checking = service.clone();
        tasks.spawn(named("re-check", async move { checking.run_rechecks().await }));
        let working = core.clone();
        tasks.spawn(named("request", async move {
            tokio::select! {
                () = working.memory.panicked.notified() => {}
                () = working.stop.cancelled() => {}
            }
        }));
        let learning = core.clone();
        tasks.spawn(named("MAC", async move { mac_refresh::run(&learning).await }));
        if let Some(netboot) = self.netboot {
            let urls = bound
                .networks
                .iter()
                .map(|n| (n.network.clone(), format!("http://{}", n.http)))
                .collect();
            let source = Arc::new(Boot::new(core, bound.api.port(), urls));
            let running = netboot.start(source, stop.child_token());
            tasks.spawn(async move { ("boot service", running.run().await.map_err(AppError::from)) });
        }
        Running {
            bound,
            service,
            stop,
            tasks,
            _lock: self.lock,
        }
    }
}

impl Running {
    /// Addresses and files of the server.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The service, for callers in the same process.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Token that stops the server gracefully when cancelled.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the server is stopped or a task fails; a failure stops the other tasks.
    ///
    /// # Errors
    /// The first failure.
    pub async fn run(mut self) -> Result<(), AppError> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = match ended {
                Ok((name, Ok(()))) if !self.stop.is_cancelled() => Err(AppError::Task(name.to_owned())),
                Ok((_, ended)) => ended,
                Err(error) => Err(AppError::Task(error.to_string())),
            };
            if result.is_ok() {
                result = ended;
            }
            // Stop everything: a server that lost a task must not look alive.
            self.stop.cancel();
        }
        self.service.core().store.close().await;
        result
    }

    /// Stops gracefully.
    ///
    /// # Errors
    /// As [`Running::run`].
    pub async fn stop(self) -> Result<(), AppError> {
        self.stop.cancel();
        self.run().await
    }
}

/// Adds the task's name to its result, for [`Running::run`].
async fn named(name: &'static str, task: impl Future<Output = ()>) -> (&'static str, Result<(), AppError>) {
    task.await;
    (name, Ok(()))
}

/// Renews the server's certificate in time, even if the server runs for years without a restart.
async fn renew(core: &Core, certificate: &ServerCertificate) {
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        let (directory, names) = (core.config.data_dir.join("tls"), core.config.tls_names());
        let renewed = core
            .authority
            .server_certificate(&directory, &names, core.clock.now())
            .and_then(|pair| certificate.replace(pair));
        match renewed {
            Ok(true) => tracing::info!("the server's certificate was renewed"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                error = inventory_api::text::with_causes(&error),
                "cannot renew the server's certificate"
            ),
        }
    }
}

/// Signs the mini-os and its loaders for machines whose firmware trusts this certificate. A running server
/// uses them after its next start.
///
/// # Errors
/// A file or a program is missing, or a file is unusable; previously signed files are kept.
pub fn sign_mini_os(config: &Config, key: &Path, certificate: &Path) -> Result<PathBuf, AppError> {
    make_data_dir(&config.data_dir)?;
    let authority = Authority::open(&config.data_dir.join("ca"), Clock::system().now())?;
    boot_files::sign(config, authority.pem(), key, certificate)
}
