//! ISC's dhclient with DHCPv6: an address, its renewal after the server was killed, its release; curl and
//! TFTP over IPv6.

use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::child::Owned;
use e2e::netns::ip;
use inventory_api::network::{Gives, NetworkEvent, NetworkState};

use crate::port::Port;
use crate::site::Site;

/// A network with a dnsmasq beside us.
const BESIDE: &str = r#"
[[network]]
name = "beside6"
server = "10.67.0.1"
subnet = "10.67.0.0/24"
[network.v6]
server = "fd67::1"
prefix = "fd67::/64"
mode = "server"
pools = [{ first = "fd67::100", last = "fd67::1ff" }]
"#;
const NETWORK: &str = r#"
[[network]]
name = "six"
server = "10.66.0.1"
subnet = "10.66.0.0/24"
look_seconds = 0
[network.v6]
server = "fd66::1"
prefix = "fd66::/64"
mode = "server"
pools = [{ first = "fd66::100", last = "fd66::1ff" }]
dns = ["fd66::53"]
"#;

async fn site() -> Result<Option<Site>> {
    let bridges = [("br6", "10.66.0.1/24")];
    Site::start_prepared(&bridges, NETWORK, || {
        ip("addr add fd66::1/64 dev br6 nodad").map(drop)
    })
    .await
}

struct Client {
    _process: Owned,
    directory: PathBuf,
}

impl Client {
    /// Told to renew after two seconds, because the server's T1 is half an hour away.
    async fn start(site: &Site, port: &Port, run: &str) -> Result<Client> {
        // dhclient cannot use its link-local address until the kernel has finished duplicate detection.
        e2e::wait::until("a link-local address", Duration::from_secs(10), async || {
            let all = port.ns.run(|| ip("-6 addr show dev eth0 scope link"))?;
            Ok((all.contains("fe80") && !all.contains("tentative")).then_some(()))
        })
        .await?;
        let directory = site.directory().join(format!("dhclient6-{run}"));
        std::fs::create_dir(&directory)?;
        let hook = directory.join("hook");
        let events = directory.join("events");
        let text = format!(
            "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
             case $reason in BOUND6|RENEW6|REBIND6) ip addr replace $new_ip6_address/64 dev eth0 nodad;; esac\n\
             echo \"$reason $new_ip6_address $new_dhcp6_name_servers\" >> {}\n",
            events.display()
        );
        std::fs::write(&hook, text)?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(directory.join("conf"), "timeout 20;\n")?;
        let mut command = port.ns.command("dhclient");
        command.args(["-6", "-d", "-1", "-sf"]).arg(hook);
        command.arg("-cf").arg(directory.join("conf"));
        command.arg("-lf").arg(directory.join("leases"));
        command.arg("-pf").arg(directory.join("pid")).arg("eth0");
        Ok(Client {
            _process: Owned::start(command, &directory.join("log"))?,
            directory,
        })
    }

    async fn wait(&self, event: &str) -> Result<String> {
        let what = format!("dhclient's {event}");
        let waited = e2e::wait::until(&what, Duration::from_secs(20), async || {
            let text = std::fs::read_to_string(self.directory.join("events")).unwrap_or_default();
            let found = text
                .lines()
                .rev()
                .find_map(|l| l.strip_prefix(event)?.strip_prefix(' '));
            Ok(found.map(str::to_owned))
        });
        waited
            .await
            .with_context(|| std::fs::read_to_string(self.directory.join("log")).unwrap_or_default())
    }
}

#[tokio::test]
async fn dhclient_gets_keeps_and_releases_an_ipv6_address() -> Result<()> {
    let Some(mut site) = site().await? else {
        return Ok(());
    };
    let port = site.port_on("br6", "02:00:00:00:66:01")?;
    let client = Client::start(&site, &port, "first").await?;
    let bound = client.wait("BOUND6").await?;
    let (address, dns) = bound.split_once(' ').context("an address and a name server")?;
    ensure!(address.starts_with("fd66::1") && dns == "fd66::53", "{bound}");
    let answers = site.answers(port.mac).await?;
    ensure!(answers == ["solicit:advertise", "request:reply"], "{answers:?}");

    // Files over the new address.
    let url = "http://[fd66::1]:8067/boot/snponly.efi";
    let (body, status) = port.curl(&["-g", url])?;
    ensure!(
        status == 200 && body == std::fs::read("/usr/lib/ipxe/snponly.efi")?,
        "{status}"
    );
    let (text, status) = port.curl(&["-g", "http://[fd66::1]:8067/boot.ipxe?mac=02:00:00:00:66:01"])?;
    ensure!(status == 403, "{status}: {}", String::from_utf8_lossy(&text));
    let tftp = port.run(
        "curl",
        &[
            "-sS",
            "-g",
            "--tftp-blksize",
            "65000",
            "tftp://[fd66::1]/snponly.efi",
        ],
    )?;
    ensure!(tftp.stdout == body, "{}", String::from_utf8_lossy(&tftp.stderr));

    // The server is killed and has only its journal; the client has forgotten everything.
    drop(client);
    site.server.kill();
    site.server.power_on().await?;
    let client = Client::start(&site, &port, "second").await?;
    ensure!(
        client.wait("BOUND6").await?.starts_with(address),
        "the same MAC, the same address"
    );
    let directory = client.directory.clone();
    drop(client);
    let text = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let (leases, pid, hook) = (text("leases"), text("none"), text("hook"));
    let released = port.run(
        "dhclient",
        &["-6", "-r", "-sf", &hook, "-lf", &leases, "-pf", &pid, "eth0"],
    )?;
    ensure!(
        released.status.success(),
        "{}",
        String::from_utf8_lossy(&released.stderr)
    );
    site.wait_answer(port.mac, "release:reply").await
}

/// A dnsmasq that gives addresses by DHCPv6.
fn dnsmasq(site: &Site, place: &Port) -> Result<Owned> {
    place.ns.run(|| ip("addr add fd67::2/64 dev eth0 nodad"))?;
    let mut command = place.ns.command("dnsmasq");
    command.args(["-k", "-C", "/dev/null", "-p", "0", "--user=root", "--pid-file="]);
    command.args(["--interface=eth0", "--dhcp-range=fd67::50,fd67::60,64,1h"]);
    command.arg(format!(
        "--dhcp-leasefile={}",
        site.directory().join("dnsmasq6").display()
    ));
    Owned::start(command, &site.directory().join("dnsmasq6.log"))
}

#[tokio::test]
async fn beside_another_dhcpv6_server_no_address_is_given_out() -> Result<()> {
    let prepare = || ip("addr add fd67::1/64 dev br67 nodad").map(drop);
    let bridges = [("br67", "10.67.0.1/24")];
    let Some(mut site) = Site::start_prepared(&bridges, BESIDE, prepare).await? else {
        return Ok(());
    };
    let v6 = |site: &Site| site.network("beside6")?.v6.context("no DHCPv6");
    let (pool, watched) = (v6(&site)?.pool, v6(&site)?.watched);
    ensure!(pool == 256 && watched, "{pool} {watched}");
    let place = site.port_on("br67", "02:00:00:00:67:02")?;
    let _other = dnsmasq(&site, &place)?;
    // The server searches at its start, then once a minute.
    site.server.kill();
    site.server.power_on().await?;
    e2e::wait::until(
        "the other server to be known",
        Duration::from_secs(20),
        async || {
            let status = v6(&site)?;
            let known = status
                .servers
                .iter()
                .any(|s| s.mac == place.mac && s.gives == Gives::Addresses);
            Ok((known && status.state == NetworkState::Refusing).then_some(()))
        },
    )
    .await?;
    let events = site.network("beside6")?.events;
    let said = events
        .iter()
        .find(|e| e.kind == "foreign-server")
        .context("no event")?;
    ensure!(
        said.detail.starts_with("another DHCPv6 server, ") && said.detail.contains(&place.mac.to_string()),
        "{}",
        said.detail
    );
    // There is no other server on the IPv4 side, and we do not answer our own searches.
    let status = site.network("beside6")?;
    ensure!(status.servers.is_empty() && status.v6.is_some_and(|v6| v6.held == 0 && v6.servers.len() == 1));

    let port = site.port_on("br67", "02:00:00:00:67:03")?;
    let client = Client::start(&site, &port, "beside").await?;
    let bound = client.wait("BOUND6").await?;
    ensure!(
        bound.starts_with("fd67::5") || bound.starts_with("fd67::60"),
        "dnsmasq's: {bound}"
    );
    site.wait_answer(port.mac, "solicit:foreign-server").await?;
    ensure!(site.slipway(&["network", "list"])?.contains("REFUSES"));

    // What cannot be answered is counted, and a relay for an unknown link is named.
    let duid = [&[0, 1, 0, 10, 0, 3, 0, 1][..], &port.mac.0].concat();
    let association = [[0, 3, 0, 12].as_slice(), &[0; 12]].concat();
    let asks_too_much = [&[11, 1, 2, 3][..], &duid, &association].concat();
    let solicit = [&[1, 1, 2, 3][..], &duid, &association].concat();
    let link: Ipv6Addr = "fd99::1".parse()?;
    let length = (solicit.len() as u16).to_be_bytes();
    let relayed = [&[12, 0][..], &link.octets(), &[0; 16], &[0, 9], &length, &solicit].concat();
    port.ns.run(|| {
        let socket = std::net::UdpSocket::bind("[::]:0")?;
        socket.send_to(&asks_too_much, "[fd67::1]:547")?;
        Ok(socket.send_to(&relayed, "[fd67::1]:547").map(drop)?)
    })?;
    e2e::wait::until("both to be told", Duration::from_secs(10), async || {
        let status = site.network("beside6")?;
        let counted = |reason: &str| status.silences.iter().any(|s| s.reason == reason);
        let named = |e: &NetworkEvent| e.kind == "unknown-relay" && e.detail.contains("fd99::1");
        let told = counted("association") && counted("unknown-relay") && status.events.iter().any(named);
        Ok(told.then_some(()))
    })
    .await
}
