//! What all services share, and the questions about a machine that all of them ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use inventory_api::Mac;
use inventory_api::boot::{BootEvent, BootEventKind, BootTarget};
use netboot_protocol::shares::Standing;
use netboot_protocol::{ClientKind, Loader};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::files::Files;
use crate::firmware::FirmwareTimes;
use crate::leases::{JournalQueue, LeaseTable};
use crate::networks::Networks;
use crate::now;
use crate::source::{BootClient, BootSource};

/// What all services share.
pub(crate) struct Shared<S> {
    pub(crate) config: Config,
    pub(crate) files: Files,
    pub(crate) leases: LeaseTable,
    pub(crate) leases6: LeaseTable<Ipv6Addr>,
    pub(crate) queue: JournalQueue,
    pub(crate) networks: Networks,
    pub(crate) source: Arc<S>,
    pub(crate) firmware: FirmwareTimes,
    pub(crate) cancel: CancellationToken,
}

impl<S: BootSource> Shared<S> {
    /// The loader to try next for firmware of this kind; `None`: we have none for it. `restarted`: the
    /// firmware has started over.
    pub(crate) fn loader(&self, mac: Mac, kind: ClientKind, restarted: bool) -> Option<Loader> {
        if Loader::list(kind).is_empty() {
            return None;
        }
        let by_http = matches!(kind, ClientKind::UefiX64Http | ClientKind::UefiArm64Http);
        let available = |loader| self.files.has(loader, by_http);
        self.source.loader(mac, kind, restarted, &available)
    }

    /// The boot target; clients that do not netboot get `LocalDisk` unasked. `server`: our IPv4 address on
    /// the network.
    pub(crate) async fn target(
        &self,
        mac: Mac,
        kind: ClientKind,
        network: &str,
        server: Ipv4Addr,
        ip: Option<Ipv4Addr>,
    ) -> BootTarget {
        if !kind.boots() {
            return BootTarget::LocalDisk;
        }
        let asks = BootClient {
            mac,
            ip,
            network: network.to_owned(),
            server,
            firmware_asked: self.firmware.of(mac),
        };
        self.source.target(&asks).await
    }

    /// How much we trust a peer address: enrolled machine, lease holder, or stranger.
    pub(crate) fn standing(&self, peer: IpAddr) -> Standing {
        match self.networks.whose(peer) {
            Some((Some(_), mac)) if self.source.known(mac) => Standing::Known,
            Some((Some(_), _)) => Standing::Lease,
            Some((None, _)) | None => Standing::Stranger,
        }
    }

    /// Records an event of a machine, for `slipway explain`.
    pub(crate) fn record(&self, mac: Mac, ip: Option<IpAddr>, network: Option<String>, what: BootEventKind) {
        let at = now();
        self.source.heard(BootEvent {
            at,
            mac,
            ip,
            network,
            what,
        });
    }

    /// Records an event for the machine that uses `peer`, if one does.
    pub(crate) fn report_from(&self, peer: IpAddr, what: BootEventKind) {
        if let Some((network, mac)) = self.networks.whose(peer) {
            self.record(mac, Some(peer), network, what);
        }
    }
}
