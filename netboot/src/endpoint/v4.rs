//! One of our IPv4 addresses: DHCP, the PXE boot server, file services, and link-layer sockets.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use netboot_protocol::{BOOT_SERVER_PORT, Mode, Network};
use parking_lot::Mutex;

use super::{BoundNetwork, FileSockets, address_at, failed, names};
use crate::config::Config;
use crate::dhcp::Shell;
use crate::dhcp::probe::Prober;
use crate::dhcp::release_frames::ReleaseFrames;
use crate::dhcp::server_listener::{Protocol, ServerListener};
use crate::dhcp::v4::DhcpV4;
use crate::error::NetbootError;
use crate::link::LinkSocket;
use crate::networks::{Family, Networks};
use crate::ra::Advertiser;
use crate::shared::Shared;
use crate::socket::{DhcpSocket, Interface};
use crate::source::BootSource;
use crate::tasks::Tasks;

/// The sockets on one of our addresses.
pub(crate) struct EndpointV4 {
    server: Ipv4Addr,
    networks: Vec<Network>,
    dhcp: DhcpSocket,
    boot_server: DhcpSocket,
    files: FileSockets,
    advertiser: Option<Advertiser>,
    arp: Option<Arc<Prober>>,
    echo: Option<Arc<Prober>>,
    listener: Option<ServerListener>,
    release_frames: Option<ReleaseFrames>,
}

impl EndpointV4 {
    pub(crate) async fn open(
        config: &Config,
        server: Ipv4Addr,
        networks: Vec<Network>,
        states: &Networks,
    ) -> Result<EndpointV4, NetbootError> {
        let names = names(&networks);
        let failed = |service, port| failed(service, &names, server.into(), port);
        let open_dhcp = |port| {
            if config.reply_to_source {
                DhcpSocket::on_address(server, port)
            } else {
                DhcpSocket::on_interface(server, port)
            }
        };
        let dhcp = open_dhcp(config.dhcp_port).map_err(failed("DHCP", config.dhcp_port))?;
        // Simulated servers share one address, so only one of them could have the well-known port.
        let boot_server_port = if config.dhcp_port == 0 || config.reply_to_source {
            0
        } else {
            BOOT_SERVER_PORT
        };
        let boot_server =
            open_dhcp(boot_server_port).map_err(failed("the PXE boot server", boot_server_port))?;
        let files = FileSockets::open(config, server.into(), &names).await?;
        // None for simulated machines.
        let interface = dhcp.interface();
        let wanted = networks.iter().any(|network| {
            network.is_local() && network.mode() != Mode::Observe && network.settings().router_advertisements
        });
        let advertiser = interface.filter(|_| wanted).and_then(|interface| {
            let opened = Advertiser::open(interface.clone());
            // IPv6 may be disabled on this host; machines then only lose time.
            let opened = opened.inspect_err(|error| {
                tracing::warn!(%error, %names, "cannot answer router solicitations: stock iPXE will wait 13 s longer");
            });
            opened.ok()
        });
        let local = networks.iter().find(|network| network.is_local());
        let (arp, listener, release_frames) = match local.zip(interface) {
            Some((network, interface)) => {
                let (arp, listener) = on_the_link(server, interface, network, states);
                (arp, listener, ReleaseFrames::open(interface).ok())
            }
            None => (None, None, None),
        };
        let probes =
            |network: &&Network| network.mode() == Mode::Server && network.settings().probe_addresses;
        let relayed = networks.iter().find(probes).filter(|_| interface.is_some());
        let echo = relayed.and_then(|network| {
            let opened = Prober::by_echo(server).inspect_err(without(
                network,
                "addresses behind a relay are offered without probing them first",
            ));
            opened.ok().map(Arc::new)
        });
        Ok(EndpointV4 {
            server,
            networks,
            dhcp,
            boot_server,
            files,
            advertiser,
            arp,
            echo,
            listener,
            release_frames,
        })
    }

    /// Where each of its networks is served.
    pub(crate) fn bound(&self) -> Result<Vec<BoundNetwork>, NetbootError> {
        let address = |local| address_at(self.server.into(), local);
        let one = |network: &Network| {
            Ok(BoundNetwork {
                network: network.name().to_owned(),
                dhcp: address(self.dhcp.local_addr())?,
                boot_server: address(self.boot_server.local_addr())?,
                tftp: address(self.files.tftp.local_addr())?,
                http: address(self.files.http.local_addr())?,
                v6: None,
            })
        };
        self.networks.iter().map(one).collect()
    }

    pub(crate) fn start<S: BootSource>(self, shared: &Arc<Shared<S>>, tasks: &mut Tasks) {
        let cancel = &shared.cancel;
        let names = self.networks.iter().map(|n| (n.name(), n.is_local()));
        let dhcp = DhcpV4 {
            shell: Shell::new("DHCP", names, &shared.leases, shared),
            socket: self.dhcp,
            boot_server: self.boot_server,
            networks: self.networks.clone(),
            http_port: self.files.http_port,
            arp: self.arp.clone(),
            echo: self.echo.clone(),
            release_frames: self.release_frames,
            relays: Mutex::default(),
            claims: Mutex::default(),
        };
        tasks.spawn(dhcp.serve());
        self.files.start(self.networks, shared, tasks);
        for prober in [self.arp, self.echo].into_iter().flatten() {
            tasks.spawn(prober.serve(cancel.clone()));
        }
        if let Some(listener) = self.listener {
            tasks.spawn(listener.serve(cancel.clone()));
        }
        if let Some(advertiser) = self.advertiser {
            tasks.spawn(advertiser.serve(cancel.clone()));
        }
    }
}

fn without<'a>(network: &'a Network, what: &'static str) -> impl Fn(&io::Error) + 'a {
    move |error| {
        let network = network.name();
        tracing::warn!(%error, network, "{what}: give the process CAP_NET_RAW");
    }
}

/// ARP probes and the listener for other servers. Without CAP_NET_RAW the service runs without them.
fn on_the_link(
    server: Ipv4Addr,
    interface: &Interface,
    network: &Network,
    states: &Networks,
) -> (Option<Arc<Prober>>, Option<ServerListener>) {
    let arp = LinkSocket::arp(interface)
        .inspect_err(without(network, "addresses are offered without an ARP probe"))
        .ok()
        .map(|socket| Arc::new(Prober::by_arp(socket)));
    let listener = LinkSocket::server_replies(interface)
        .inspect_err(without(network, "other DHCP servers cannot be heard"))
        .ok()
        .map(|link| ServerListener {
            link,
            protocol: Protocol::V4 { server },
            network: network.clone(),
            networks: states.clone(),
            arp: arp.clone(),
        });
    if listener.is_some() {
        states.watched(network, Family::V4);
    }
    (arp, listener)
}
