//! One of our IPv4 addresses: DHCP, the PXE boot server, file services, and link-layer sockets.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netboot_protocol::{BOOT_SERVER_PORT, Mode, Network};
use parking_lot::Mutex;

use super::{BoundNetwork, FileSockets, address_at, failed, names, or_without};
use crate::config::Config;
use crate::dhcp::Shell;
use crate::dhcp::probe::Prober;
use crate::dhcp::release_frames::ReleaseFrames;
use crate::dhcp::server_listener::{Protocol, ServerListener};
use crate::dhcp::v4::{DhcpV4, Sockets};
use crate::error::NetbootError;
use crate::link::LinkSocket;
use crate::networks::{Family, Networks};
use crate::ra::Advertiser;
use crate::shared::Shared;
use crate::socket::DhcpSocket;
use crate::source::BootSource;
use crate::tasks::Tasks;

/// The sockets on one of our addresses.
pub(crate) struct EndpointV4 {
    server: Ipv4Addr,
    networks: Vec<Network>,
    dhcp: Sockets,
    files: FileSockets,
    advertiser: Option<Advertiser>,
    listener: Option<ServerListener>,
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
        let simulated = config.reply_to_source;
        let open_dhcp = |port| DhcpSocket::open(server, port, simulated);
        let main = open_dhcp(config.dhcp_port).map_err(failed("DHCP", config.dhcp_port))?;
        // Simulated servers share one address, so only one of them could have the well-known port.
        let only = config.dhcp_port != 0 && !simulated;
        let port = if only { BOOT_SERVER_PORT } else { 0 };
        let boot_server = open_dhcp(port).map_err(failed("the PXE boot server", port))?;
        let files = FileSockets::open(config, server.into(), &names).await?;
        // None for simulated machines.
        let interface = main.interface();
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
        let on_link = local.zip(interface);
        let arp = on_link.and_then(|(network, interface)| {
            let socket = LinkSocket::arp(interface);
            let socket = or_without(socket, network, "addresses are offered without an ARP probe")?;
            Some(Arc::new(Prober::by_arp(socket)))
        });
        let listener = on_link.and_then(|(network, interface)| {
            let link = LinkSocket::server_replies(interface);
            let link = or_without(link, network, "other DHCP servers cannot be heard")?;
            states.watched(network, Family::V4);
            Some(ServerListener {
                link,
                protocol: Protocol::V4 { server },
                network: network.clone(),
                networks: states.clone(),
                arp: arp.clone(),
            })
        });
        let probes =
            |network: &&Network| network.mode() == Mode::Server && network.settings().probe_addresses;
        let relayed = networks.iter().find(probes).filter(|_| interface.is_some());
        let echo = relayed.and_then(|network| {
            let without = "addresses behind a relay are offered without probing them first";
            or_without(Prober::by_echo(server), network, without).map(Arc::new)
        });
        Ok(EndpointV4 {
            server,
            dhcp: Sockets {
                release_frames: on_link.and_then(|(_, interface)| ReleaseFrames::open(interface).ok()),
                main,
                boot_server,
                arp,
                echo,
            },
            networks,
            files,
            advertiser,
            listener,
        })
    }

    /// Where each of its networks is served.
    pub(crate) fn bound(&self) -> Result<Vec<BoundNetwork>, NetbootError> {
        let address = |local| address_at(self.server.into(), local);
        let one = |network: &Network| {
            Ok(BoundNetwork {
                network: network.name().to_owned(),
                dhcp: address(self.dhcp.main.local_addr())?,
                boot_server: address(self.dhcp.boot_server.local_addr())?,
                tftp: address(self.files.tftp.local_addr())?,
                http: address(self.files.http.local_addr())?,
                v6: None,
            })
        };
        self.networks.iter().map(one).collect()
    }

    pub(crate) fn start<S: BootSource>(self, shared: &Arc<Shared<S>>, tasks: &mut Tasks) {
        let cancel = &shared.cancel;
        for prober in [&self.dhcp.arp, &self.dhcp.echo].into_iter().flatten() {
            tasks.spawn(prober.clone().serve(cancel.clone()));
        }
        let names = self.networks.iter().map(|n| (n.name(), n.is_local()));
        let dhcp = DhcpV4 {
            shell: Shell::new("DHCP", names, &shared.leases, shared),
            sockets: self.dhcp,
            networks: self.networks.clone(),
            http_port: self.files.http_port,
            relays: Mutex::default(),
            claims: Mutex::default(),
        };
        tasks.spawn(dhcp.serve());
        self.files.start(self.networks, shared, tasks);
        if let Some(listener) = self.listener {
            tasks.spawn(listener.serve(cancel.clone()));
        }
        if let Some(advertiser) = self.advertiser {
            tasks.spawn(advertiser.serve(cancel.clone()));
        }
    }
}
