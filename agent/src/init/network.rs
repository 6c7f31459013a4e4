//! The boot NIC: brings it up, gets address, routes and name servers by DHCP, and keeps the lease.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use inventory_api::Mac;
use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};
use rtnetlink::{AddressGetRequest, Handle, LinkUnspec, RouteMessageBuilder};

use crate::console::Console;
use crate::report::{attribute, number};

/// Time for one DHCP attempt before it is reported and retried.
const ATTEMPT_SECONDS: u32 = 20;
/// Longest wait for a carrier before DHCP is tried anyway: some drivers do not report it.
const CARRIER: Duration = Duration::from_secs(15);

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// The kernel's number.
    pub index: u32,
    pub mac: Mac,
}

/// Physical interfaces (no loopback, no bridges), by name.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/class/net")?.flatten() {
        let path = entry.path();
        let (mac, index) = (number(&path.join("address")), number(&path.join("ifindex")));
        if let (true, Some(mac), Some(index), Ok(name)) = (
            path.join("device").exists(),
            mac,
            index,
            entry.file_name().into_string(),
        ) {
            found.push(Interface { name, index, mac });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A lease as this machine uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub address: Ipv4Addr,
    pub prefix: u8,
    /// Destination, prefix length, gateway. The default route has prefix length 0; gateway 0.0.0.0 means
    /// on-link.
    pub routes: Vec<(Ipv4Addr, u8, Ipv4Addr)>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
    /// MTU, if the server sends a plausible one.
    pub mtu: Option<u32>,
    /// Lease time in seconds.
    pub seconds: u32,
}

/// Interprets a lease. Classless routes replace the router option (RFC 3442). An MTU below 576 is ignored
/// (RFC 2132 allows 68, but no TLS record fits there).
pub fn settings(lease: &DhcpV4Lease) -> Settings {
    let classless = lease.classless_routes.as_deref().unwrap_or_default();
    let routes = if classless.is_empty() {
        let gateways = lease.gateways.iter().flatten().take(1);
        gateways.map(|g| (Ipv4Addr::UNSPECIFIED, 0, *g)).collect()
    } else {
        let routes = classless.iter().take(32);
        routes
            .map(|r| (r.destination, r.prefix_length.min(32), r.router))
            .collect()
    };
    let word = |d: &String| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        (1..254).contains(&d.len()) && d.bytes().all(plain)
    };
    Settings {
        address: lease.yiaddr,
        prefix: lease.subnet_mask.to_bits().leading_ones() as u8,
        routes,
        dns: lease.dns_srvs.iter().flatten().take(3).copied().collect(),
        domain: lease.domain_name.clone().filter(word),
        mtu: lease.mtu.map(u32::from).filter(|m| (576..=9216).contains(m)),
        seconds: lease.lease_time_sec,
    }
}

/// An address with its lease kept alive.
pub struct Kept {
    task: tokio::task::JoinHandle<()>,
    handle: Handle,
    index: u32,
}

impl Kept {
    /// Gives it up: the lease is no longer renewed, the routes go with the link, the address with the next
    /// one.
    pub async fn give_up(self) {
        self.task.abort();
        let_go(&self.handle, self.index).await;
    }
}

/// Takes a link down and removes its addresses.
async fn let_go(handle: &Handle, index: u32) {
    let down = LinkUnspec::new_with_index(index).down().build();
    let _ = handle.link().set(down).execute().await;
    remove(handle, handle.address().get(), index).await;
}

/// Removes these addresses of an interface.
async fn remove(handle: &Handle, which: AddressGetRequest, index: u32) {
    let mut addresses = which.set_link_index_filter(index).execute();
    while let Ok(Some(message)) = addresses.try_next().await {
        let _ = handle.address().del(message).execute().await;
    }
}

/// A file of the interface in sysfs; empty if it cannot be read.
fn state(interface: &Interface, file: &str) -> String {
    let path = format!("/sys/class/net/{}/{file}", interface.name);
    attribute(Path::new(&path)).unwrap_or_default()
}

/// Whether the NIC reports a link.
pub fn has_carrier(interface: &Interface) -> bool {
    state(interface, "carrier") == "1"
}

fn netlink() -> Result<Handle, String> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|e| format!("netlink: {e}"))?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn up(handle: &Handle, index: u32) -> Result<(), rtnetlink::Error> {
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(up).execute().await
}

/// Brings interfaces up and gives them two seconds to detect a link.
pub async fn link_up(interfaces: &[Interface]) {
    let Ok(handle) = netlink() else { return };
    for interface in interfaces {
        let _ = up(&handle, interface.index).await;
    }
    let started = tokio::time::Instant::now();
    while !interfaces.iter().any(has_carrier) && started.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Brings `interface` up and gets an address, however long it takes; a background task then keeps the lease.
///
/// # Errors
/// The kernel refuses a request.
pub async fn bring_up(interface: Interface, console: Arc<dyn Console>) -> Result<Kept, String> {
    let handle = netlink()?;
    // Some programs expect loopback.
    let _ = up(&handle, 1).await;
    up(&handle, interface.index)
        .await
        .map_err(|e| format!("{}: cannot bring it up: {e}", interface.name))?;
    carrier(&interface, console.as_ref()).await;
    let mut client = client(&interface).await?;
    let mut attempt = 1u32;
    let lease = loop {
        match client.run().await {
            Ok(DhcpV4State::Done(lease)) => break lease,
            Ok(_) => {}
            Err(e) => {
                console.line(&format!(
                    "network: {} {}: no address from DHCP yet (attempt {attempt}: {}), still trying",
                    interface.name,
                    interface.mac,
                    crate::plain::plain(e.msg())
                ));
                attempt += 1;
                client.clean_up();
                tokio::time::sleep(Duration::from_secs(u64::from(attempt.min(10)))).await;
            }
        }
    };
    let now = settings(&lease);
    if let Err(why) = apply(&handle, &interface, None, &now).await {
        let_go(&handle, interface.index).await;
        return Err(why);
    }
    console.line(&format!(
        "network: {} {}/{} by DHCP from {}",
        interface.name, now.address, now.prefix, lease.srv_id
    ));
    let index = interface.index;
    let task = tokio::spawn(keep(client, handle.clone(), interface, now, console));
    Ok(Kept { task, handle, index })
}

/// Brings up every other physical interface, without an address: link state and LLDP frames are visible only
/// on an interface that is up. One that cannot be brought up stays down, and the report shows it without a
/// link.
pub async fn link_up_others(boot: &Interface) {
    let Ok(handle) = netlink() else { return };
    for other in interfaces().unwrap_or_default() {
        if other.index == boot.index {
            continue;
        }
        // Ignore router advertisements: only the boot NIC gets addresses and routes.
        let _ = fs::write(
            format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", other.name),
            "1",
        );
        let _ = up(&handle, other.index).await;
    }
}

async fn client(interface: &Interface) -> Result<DhcpV4Client, String> {
    let mut config = DhcpV4Config::new(&interface.name);
    config.set_iface_index(interface.index);
    let failed = |e: mozim::DhcpError| format!("{}: DHCP: {e}", interface.name);
    config.set_iface_mac_raw(&interface.mac.0).map_err(failed)?;
    // Type 1 and the MAC, as iPXE sends it: the server sees one client, not two.
    config.use_mac_as_client_id();
    config.set_timeout_sec(ATTEMPT_SECONDS);
    DhcpV4Client::init(config, None).await.map_err(failed)
}

async fn carrier(interface: &Interface, console: &dyn Console) {
    // A carrier alone is not enough: until the link is operational the kernel drops packets, and the first
    // DISCOVER would cost four seconds. Drivers without this state report "unknown".
    let operational = || matches!(state(interface, "operstate").as_str(), "up" | "unknown");
    let ready = || has_carrier(interface) && operational();
    let started = tokio::time::Instant::now();
    let mut said = false;
    while !ready() {
        if started.elapsed() > CARRIER {
            console.line(&format!(
                "network: {} has no link after {} s, trying DHCP anyway",
                interface.name,
                CARRIER.as_secs()
            ));
            return;
        }
        if !said && started.elapsed() > Duration::from_secs(2) {
            console.line(&format!(
                "network: waiting for the link of {} {}",
                interface.name, interface.mac
            ));
            said = true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Renews the lease until the machine reboots. An expired address stays until there is a new one: without any
/// address the machine could not even report the problem.
async fn keep(
    mut client: DhcpV4Client,
    handle: Handle,
    interface: Interface,
    mut now: Settings,
    console: Arc<dyn Console>,
) {
    loop {
        match client.run().await {
            Ok(DhcpV4State::Done(lease)) => {
                let next = settings(&lease);
                if next == now {
                    continue;
                }
                if next.address != now.address {
                    console.line(&format!(
                        "network: {} now has {}/{}",
                        interface.name, next.address, next.prefix
                    ));
                }
                if let Err(why) = apply(&handle, &interface, Some(&now), &next).await {
                    console.line(&format!("network: {why}"));
                }
                now = next;
            }
            Ok(_) => {}
            Err(e) => {
                console.line(&format!(
                    "network: {}: the lease was not renewed ({}), still trying",
                    interface.name,
                    crate::plain::plain(e.msg())
                ));
                client.clean_up();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
    }
}

/// Sets address, MTU, routes and name servers; removes the address of `before` if it differs.
async fn apply(
    handle: &Handle,
    interface: &Interface,
    before: Option<&Settings>,
    next: &Settings,
) -> Result<(), String> {
    let failed = |what: &str, e: rtnetlink::Error| format!("{}: {what}: {e}", interface.name);
    if let Some(mtu) = next.mtu {
        // A NIC that does not support this MTU keeps its own.
        let message = LinkUnspec::new_with_index(interface.index).mtu(mtu).build();
        let _ = handle.link().set(message).execute().await;
    }
    if let Some(before) = before
        && (before.address, before.prefix) != (next.address, next.prefix)
    {
        let old = handle.address().get().set_prefix_length_filter(before.prefix);
        remove(
            handle,
            old.set_address_filter(before.address.into()),
            interface.index,
        )
        .await;
    }
    handle
        .address()
        .add(interface.index, next.address.into(), next.prefix)
        .replace()
        .execute()
        .await
        .map_err(|e| failed(&format!("address {}/{}", next.address, next.prefix), e))?;
    for (destination, prefix, gateway) in &next.routes {
        let mut route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(*destination, *prefix)
            .output_interface(interface.index);
        route = if gateway.is_unspecified() {
            route.scope(rtnetlink::packet_route::route::RouteScope::Link)
        } else {
            // The gateway may be outside the subnet (RFC 3442, /32 leases).
            route.gateway(*gateway).onlink()
        };
        handle
            .route()
            .add(route.build())
            .replace()
            .execute()
            .await
            .map_err(|e| failed(&format!("route {destination}/{prefix} by {gateway}"), e))?;
    }
    let mut text = String::new();
    for server in &next.dns {
        text += &format!("nameserver {server}\n");
    }
    if let Some(domain) = &next.domain {
        text += &format!("search {domain}\n");
    }
    fs::write("/etc/resolv.conf", text).map_err(|e| format!("/etc/resolv.conf: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> DhcpV4Lease {
        let mut lease = DhcpV4Lease::default();
        lease.yiaddr = Ipv4Addr::new(10, 0, 0, 5);
        lease.subnet_mask = Ipv4Addr::new(255, 255, 255, 0);
        lease.gateways = Some(vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
        lease
    }

    #[test]
    fn a_lease_gives_address_routes_mtu_and_domain() {
        let mut lease = lease();
        lease.mtu = Some(68);
        lease.domain_name = Some("a b\nnameserver 6.6.6.6".into());
        let plain = settings(&lease);
        assert_eq!((plain.prefix, plain.mtu, plain.domain), (24, None, None));
        assert_eq!(
            plain.routes,
            [(Ipv4Addr::UNSPECIFIED, 0, Ipv4Addr::new(10, 0, 0, 1))]
        );
        lease.mtu = Some(9000);
        lease.classless_routes = Some(vec![mozim::DhcpV4ClasslessRoute {
            destination: Ipv4Addr::new(10, 9, 0, 0),
            prefix_length: 16,
            router: Ipv4Addr::new(10, 0, 0, 3),
        }]);
        let classless = settings(&lease);
        assert_eq!(
            classless.routes,
            [(Ipv4Addr::new(10, 9, 0, 0), 16, Ipv4Addr::new(10, 0, 0, 3))]
        );
        assert_eq!(classless.mtu, Some(9000));
    }
}
