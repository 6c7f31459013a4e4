//! One of our IPv6 addresses: DHCPv6, file services, and the listener for other servers.

use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot_protocol::{Mode, Network};

use super::{BoundV6, FileSockets, address_at, failed, names, or_without};
use crate::config::Config;
use crate::dhcp::Shell;
use crate::dhcp::server_listener::{Protocol, ServerListener};
use crate::dhcp::v6::DhcpV6;
use crate::error::NetbootError;
use crate::link::LinkSocket;
use crate::networks::{Family, Networks};
use crate::shared::Shared;
use crate::socket::interface_of;
use crate::socket6::{Dhcp6Socket, PORT};
use crate::source::BootSource;
use crate::tasks::Tasks;

/// How long duplicate address detection may keep an IPv6 address tentative.
const TENTATIVE: Duration = Duration::from_secs(4);

/// The sockets on one of our IPv6 addresses.
pub(crate) struct EndpointV6 {
    server: Ipv6Addr,
    /// Our DUID.
    duid: Arc<Vec<u8>>,
    /// Every one has DHCPv6.
    networks: Vec<Network>,
    dhcp: Dhcp6Socket,
    files: FileSockets,
    listener: Option<ServerListener>,
}

impl EndpointV6 {
    pub(crate) async fn open(
        config: &Config,
        server: Ipv6Addr,
        duid: Arc<Vec<u8>>,
        networks: Vec<Network>,
        states: &Networks,
    ) -> Result<EndpointV6, NetbootError> {
        let names = names(&networks);
        let begun = Instant::now();
        let files = loop {
            match FileSockets::open(config, server.into(), &names).await {
                Err(NetbootError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AddrNotAvailable && begun.elapsed() < TENTATIVE =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                opened => break opened?,
            }
        };
        let port = if config.reply_to_source { 0 } else { PORT };
        let dhcp = Dhcp6Socket::open(server, port, config.reply_to_source);
        let dhcp = dhcp.map_err(failed("DHCPv6", &names, server.into(), port))?;
        // An observer must not send, and a server's answers go only to the client that asked.
        let serves = |network: &&Network| {
            network
                .v6()
                .is_some_and(|v6| v6.is_local() && v6.mode() != Mode::Observe)
        };
        let local = networks.iter().find(serves).filter(|_| !config.reply_to_source);
        let listener = local.and_then(|network| {
            let opened = interface_of(server)
                .and_then(|interface| Ok((LinkSocket::server_replies_v6(&interface)?, interface)));
            let (link, interface) = or_without(opened, network, "other DHCPv6 servers cannot be heard")?;
            states.watched(network, Family::V6);
            Some(ServerListener {
                link,
                protocol: Protocol::V6 {
                    server,
                    duid: duid.clone(),
                    interface,
                },
                network: network.clone(),
                networks: states.clone(),
                arp: None,
            })
        });
        Ok(EndpointV6 {
            server,
            duid,
            networks,
            dhcp,
            files,
            listener,
        })
    }

    /// Whether a network is served here.
    pub(crate) fn serves(&self, network: &str) -> bool {
        self.networks.iter().any(|n| n.name() == network)
    }

    /// Where it is.
    pub(crate) fn bound(&self) -> Result<BoundV6, NetbootError> {
        let address = |local| address_at(self.server.into(), local);
        Ok(BoundV6 {
            dhcp: address(self.dhcp.local_addr())?,
            tftp: address(self.files.tftp.local_addr())?,
            http: address(self.files.http.local_addr())?,
        })
    }

    pub(crate) fn start<S: BootSource>(self, shared: &Arc<Shared<S>>, tasks: &mut Tasks) {
        let networks: Vec<_> = self.networks.iter().filter_map(|n| n.v6().cloned()).collect();
        let names = networks.iter().map(|n| (n.name(), n.is_local()));
        let dhcp = DhcpV6 {
            shell: Shell::new("DHCPv6", names, &shared.leases6, shared),
            socket: self.dhcp,
            networks,
            http_port: self.files.http_port,
            duid: self.duid,
        };
        tasks.spawn(dhcp.serve());
        self.files.start(self.networks, shared, tasks);
        if let Some(listener) = self.listener {
            tasks.spawn(listener.serve(shared.cancel.clone()));
        }
    }
}
