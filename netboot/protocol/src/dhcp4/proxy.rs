//! ProxyDHCP: boot data next to another DHCP server (PXE 2.1, section 2.2; measured
//! 2.2).
//!
//! On port 67 a DISCOVER gets an OFFER without an address. Firmware that then asks a boot server does so on
//! port 4011 and gets an ACK, in server mode too. We send nothing else: no NAK, no lease.

use std::net::Ipv4Addr;

use inventory_api::UnixMs;
use inventory_api::dhcp::DhcpReply;

use crate::boot::{BootFile, BootUrls};
use crate::codes::Unanswered;
use crate::dhcp4::Decision;
use crate::dhcp4::boot_file::boot_file;
use crate::dhcp4::client::{MessageKind, PxeClient};
use crate::dhcp4::encode::ReplyContent;
use crate::network::Network;
use crate::network::lease::{Lease, LeaseChange, LeaseState};
use crate::network::settings::Mode;

/// Port of the boot server (PXE 2.1, section 2.2.4).
pub const BOOT_SERVER_PORT: u16 = 4011;
/// How long to remember an address another server gave, in seconds. Renewals go to that server and are not
/// heard here.
const SEEN_SECONDS: u64 = 86_400;

pub(crate) fn decide(client: &PxeClient, network: &Network, urls: &BootUrls, now: UnixMs) -> Decision {
    match (client.message, client.to_boot_server) {
        (MessageKind::Discover, false) => offer(client, urls, DhcpReply::Offer).into(),
        // A client broadcasts which offer it accepts: that tells the machine's address from now on.
        (MessageKind::Request, false) => Decision {
            answer: Err(Unanswered::AddressServer),
            change: seen(client, network, client.requested.unwrap_or(client.ciaddr), now),
        },
        (MessageKind::Request | MessageKind::Inform, true) => Decision {
            answer: offer(client, urls, DhcpReply::Ack),
            change: seen(client, network, client.ciaddr, now),
        },
        (MessageKind::Inform | MessageKind::Release | MessageKind::Decline, false)
        | (MessageKind::Discover | MessageKind::Release | MessageKind::Decline, true) => {
            Err(Unanswered::AddressServer).into()
        }
    }
}

fn offer(client: &PxeClient, urls: &BootUrls, kind: DhcpReply) -> Result<ReplyContent, Unanswered> {
    if !client.kind.boots() {
        return Err(Unanswered::NotBooting);
    }
    match boot_file(client, urls) {
        BootFile::None => Err(Unanswered::NoBootFile),
        boot => Ok(ReplyContent {
            proxy: true,
            ..ReplyContent::new(kind, boot)
        }),
    }
}

fn seen(client: &PxeClient, network: &Network, ip: Ipv4Addr, now: UnixMs) -> Option<LeaseChange> {
    // In server mode our leases are authoritative; a client's claim must not overwrite them.
    let others = network.mode() == Mode::Proxy && network.may_be_host(ip);
    let until = now.plus_seconds(SEEN_SECONDS);
    others.then(|| LeaseChange::Insert(Lease::new(client.mac, ip, LeaseState::Seen, until)))
}
