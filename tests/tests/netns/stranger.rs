//! The stranger of `docs/security.md`: on the provisioning network, knows the machine's MAC and address, has
//! no credentials. One test for each row of its table.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::sim::dhcp::Asker;
use inventory_api::agent::{ClaimRequest, ClaimResponse};
use inventory_api::boot::BootArgs;
use inventory_api::machine::{MachineFilter, MachineState, Verb};
use inventory_api::{Mac, Problem, routes};
use serde_json::Value;

use crate::capture::{Capture, is_ipv4};
use crate::port::Port;
use crate::site::Site;

const MACHINE: &str = "02:00:00:00:90:01";
const STRANGER: &str = "02:00:00:00:90:66";

/// Fetches the boot script of `mac`; returns text and status.
fn script(port: &Port, mac: Mac) -> Result<(String, u16)> {
    let (body, code) = port.curl(&[&format!("http://10.77.0.1:8067/boot.ipxe?mac={mac}")])?;
    Ok((String::from_utf8(body)?, code))
}

/// The boot arguments in a script for the mini-os.
fn boot_args(script: &str) -> Result<BootArgs> {
    let line = script.lines().find(|l| l.starts_with("kernel "));
    Ok(BootArgs::parse(
        line.with_context(|| format!("no mini-os in {script}"))?,
    )?)
}

/// A key pair of somebody on the network.
struct Key {
    pair: rcgen::KeyPair,
    files: PathBuf,
}

/// A machine certificate, with whoever claimed it.
struct Identity {
    claimed: ClaimResponse,
    arguments: Vec<String>,
}

impl Key {
    fn new(site: &Site, name: &str) -> Result<Key> {
        Ok(Key {
            pair: rcgen::KeyPair::generate()?,
            files: site.directory().join(name),
        })
    }

    /// `POST claim` from `port`.
    fn claim(&self, site: &Site, port: &Port, mac: Mac, ticket: &str) -> Result<Result<Identity, Problem>> {
        let csr = rcgen::CertificateParams::default().serialize_request(&self.pair)?;
        let claim = ClaimRequest {
            ticket: ticket.to_owned(),
            csr_pem: csr.pem()?,
            boot_mac: mac,
            agent_version: "test".to_owned(),
        };
        let ca = site.server.ca_file().to_string_lossy().into_owned();
        let body = serde_json::to_string(&claim)?;
        let (answer, code) = port.curl(&[
            "--cacert",
            &ca,
            "-d",
            &body,
            "https://10.77.0.1:8443/agent/v1/claim",
        ])?;
        if code != 200 {
            return Ok(Err(serde_json::from_slice(&answer)?));
        }
        let claimed: ClaimResponse = serde_json::from_slice(&answer)?;
        let (certificate, key) = (self.files.with_extension("crt"), self.files.with_extension("key"));
        std::fs::write(&certificate, &claimed.certificate_pem)?;
        std::fs::write(&key, self.pair.serialize_pem())?;
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let arguments = [
            "--cacert",
            &ca,
            "--cert",
            &text(&certificate),
            "--key",
            &text(&key),
        ];
        Ok(Ok(Identity {
            claimed,
            arguments: arguments.map(str::to_owned).to_vec(),
        }))
    }
}

impl Identity {
    /// Sends a request with the certificate; returns the answer's JSON and the status.
    fn ask(&self, port: &Port, path: &str, more: &[&str]) -> Result<(Value, u16)> {
        let url = format!("https://10.77.0.1:8443/agent/v1/{path}");
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        arguments.push(&url);
        let (body, code) = port.curl(&arguments)?;
        Ok((serde_json::from_slice(&body).unwrap_or(Value::Null), code))
    }
}

fn refused(claimed: Result<Identity, Problem>) -> Result<String> {
    match claimed {
        Ok(_) => anyhow::bail!("the claim was accepted"),
        Err(problem) => Ok(problem.code),
    }
}

/// A machine that has booted as far as its script, and a stranger with its own address.
async fn scene(site: &Site) -> Result<(Port, Port, String)> {
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    machine.boot(Asker::Ipxe, 1).await?;
    stranger.boot(Asker::System, 2).await?;
    let (text, code) = script(&machine, machine.mac)?;
    ensure!(code == 200, "the machine gets its script: {code} {text}");
    Ok((machine, stranger, boot_args(&text)?.ticket))
}

/// Keeps a NIC from sending on its own (IPv6 solicitations): with one MAC on two ports the bridge sends
/// answers to whichever sent last.
fn hush(port: &Port) -> Result<()> {
    port.ns
        .run(|| Ok(std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1")?))
}

/// The stranger leaves: from now on only the machine has its MAC.
fn unplug(port: &Port) -> Result<()> {
    port.ns.run(|| e2e::netns::ip("link set eth0 down").map(drop))
}

/// The stranger takes over the machine's MAC and gets its address by DHCP, which nobody on a shared wire can
/// prevent.
fn spoof(stranger: Port, as_mac: Mac) -> Result<Port> {
    stranger.drop_addresses()?;
    stranger.ns.run(|| {
        e2e::netns::ip("link set eth0 down")?;
        e2e::netns::ip(&format!("link set eth0 address {as_mac}"))?;
        e2e::netns::ip("link set eth0 up").map(drop)
    })?;
    Ok(Port {
        ns: stranger.ns,
        mac: as_mac,
    })
}

/// Row "DHCP, TFTP": everything is in clear, and nothing is secret.
#[tokio::test]
async fn dhcp_and_tftp_carry_no_secret() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let machine = site.port(MACHINE)?;
    let capture = Capture::start(&machine)?;
    machine.boot(Asker::Uefi, 1).await?;
    let got = machine.run("curl", &["-sS", "-m", "15", "tftp://10.77.0.1/snponly.efi"])?;
    ensure!(
        got.stdout == std::fs::read("/usr/lib/ipxe/snponly.efi")?,
        "Debian's file, byte for byte"
    );
    machine.boot(Asker::Ipxe, 2).await?;
    let frames = capture.frames();
    let count = frames.iter().filter(|f| is_ipv4(f)).count();
    ensure!(count > 100, "the capture has the transfer, not {count} packets");
    let ticket = boot_args(&script(&machine, machine.mac)?.0)?.ticket;
    // A second boot, when a ticket exists.
    machine.boot(Asker::Bios, 3).await?;
    let all: Vec<u8> = frames
        .into_iter()
        .chain(capture.frames().into_iter().filter(|f| udp(f)))
        .flatten()
        .collect();
    for secret in [ticket.as_str(), site.server.token(), "PRIVATE KEY"] {
        ensure!(!holds(&all, secret), "a secret in clear");
    }
    Ok(())
}

fn udp(frame: &[u8]) -> bool {
    is_ipv4(frame) && frame[23] == 17
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Row "boot script": refused from an address that does not hold the lease, and people see the attempt.
#[tokio::test]
async fn a_boot_script_is_for_the_address_of_the_lease() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    let machines = machine.boot(Asker::Ipxe, 1).await?;
    let strangers = stranger.boot(Asker::System, 2).await?;
    let nobody: Mac = "02:00:00:00:90:99".parse().map_err(|e| anyhow::anyhow!("{e}"))?;
    for mac in [machine.mac, nobody] {
        let (text, code) = script(&stranger, mac)?;
        assert_eq!(code, 403, "{text}");
        assert!(!text.contains("slipway.") && !text.contains("#!ipxe"), "{text}");
    }
    assert!(
        site.server
            .api()?
            .machines(&MachineFilter::default())
            .await?
            .is_empty(),
        "a refused question makes no machine"
    );
    let said = site.explain(machine.mac)?;
    assert!(
        said.contains("403") && said.contains(&strangers.to_string()),
        "who tried and from where: {said}"
    );
    assert!(said.contains("does not hold"), "and what it means: {said}");
    assert!(site.server.log().contains("boot script refused"));
    // An address that nobody leased.
    stranger.drop_addresses()?;
    stranger.take("10.77.0.77".parse()?)?;
    assert_eq!(script(&stranger, machine.mac)?.1, 403);
    // The machine itself.
    assert_eq!(script(&machine, machine.mac)?.1, 200);
    assert_eq!(
        script(&machine, stranger.mac)?.1,
        403,
        "nor may it ask for another one"
    );
    // After a RELEASE ends its lease, its address gets nothing.
    let mut release = e2e::sim::dhcp::Message::new(7, Asker::System, machine.mac, 3).bytes();
    release[12..16].copy_from_slice(&machines.octets());
    machine.socket(68)?.send_to(&release, "10.77.0.1:67").await?;
    site.wait_answer(machine.mac, "release:released").await?;
    assert_eq!(script(&machine, machine.mac)?.1, 403);
    Ok(())
}

/// Row "boot script": a ticket is useless from another address, with another MAC, or invented. (Its lifetime
/// is tested where the clock is an argument: inventory/tests/server/claims.rs.)
#[tokio::test]
async fn a_ticket_is_bound_to_its_lease_and_replaced_by_the_next() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger, ticket) = scene(&site).await?;
    let (own, theirs) = (Key::new(&site, "own")?, Key::new(&site, "theirs")?);
    assert_eq!(
        refused(theirs.claim(&site, &stranger, machine.mac, &ticket)?)?,
        "ticket-address"
    );
    assert_eq!(
        refused(theirs.claim(&site, &machine, stranger.mac, &ticket)?)?,
        "ticket-address"
    );
    assert_eq!(
        refused(theirs.claim(&site, &stranger, machine.mac, &"A".repeat(ticket.len()))?)?,
        "ticket-unknown"
    );
    // The failed attempts have used nothing up.
    let next = boot_args(&script(&machine, machine.mac)?.0)?.ticket;
    assert_ne!(next, ticket, "made for one script");
    let claimed = own.claim(&site, &machine, machine.mac, &next)?;
    let identity = claimed.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_eq!(identity.ask(&machine, "assignment", &[])?.1, 200);
    assert!(
        !site.server.log().contains(&ticket) && !site.server.log().contains(&next),
        "no ticket in a log"
    );
    Ok(())
}

/// Row "kernel, initramfs, site archive": public, with our certificate but not its key.
#[tokio::test]
async fn boot_files_have_the_certificate_and_no_key() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let stranger = site.port(STRANGER)?;
    stranger.boot(Asker::System, 1).await?;
    let (archive, code) = stranger.curl(&["http://10.77.0.1:8067/boot/site"])?;
    assert_eq!(code, 200);
    let certificate = std::fs::read_to_string(site.server.ca_file())?;
    assert!(
        holds(&archive, certificate.trim_end()),
        "the certificate that agents trust"
    );
    for secret in ["PRIVATE KEY", site.server.token()] {
        assert!(!holds(&archive, secret));
    }
    Ok(())
}

/// Row "claim": a thief of the ticket who holds the address and is faster gets a certificate, but not
/// unnoticed: the machine's own claim raises the alarm and stops everything.
#[tokio::test]
async fn a_faster_thief_is_seen_and_stopped() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger, ticket) = scene(&site).await?;
    hush(&machine)?;
    hush(&stranger)?;
    let thief = spoof(stranger, machine.mac)?;
    thief.boot(Asker::System, 3).await?;
    let (own, theirs) = (Key::new(&site, "own")?, Key::new(&site, "theirs")?);
    let stolen = theirs
        .claim(&site, &thief, machine.mac, &ticket)?
        .map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_eq!(
        stolen.ask(&thief, "assignment", &[])?.1,
        200,
        "what the page admits"
    );
    unplug(&thief)?;
    machine.lease(Asker::System, 4).await?;
    assert_eq!(
        refused(own.claim(&site, &machine, machine.mac, &ticket)?)?,
        "ticket-used"
    );
    let (problem, code) = stolen.ask(&machine, "assignment", &[])?;
    assert_eq!(
        (code, problem["type"].as_str()),
        (403, Some("certificate-revoked"))
    );
    let id = stolen.claimed.machine.to_string();
    let detail = site.server.api()?.machine(&id).await?;
    assert_eq!(
        detail.machine.status.state,
        MachineState::Quarantined,
        "{}",
        detail.machine.status.sentence
    );
    let history = site.server.api()?.history(&id).await?;
    assert!(
        history.iter().any(|entry| entry.event == "security-alarm"),
        "{history:?}"
    );
    // Neither of them gets any further.
    assert!(script(&machine, machine.mac)?.0.find("slipway.ticket").is_none());
    Ok(())
}

/// Row "claim": a stranger who takes over the address and fetches a script voids the machine's ticket. The
/// machine's claim then raises the alarm.
#[tokio::test]
async fn a_script_fetched_by_somebody_else_is_seen() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger, ticket) = scene(&site).await?;
    hush(&machine)?;
    hush(&stranger)?;
    let thief = spoof(stranger, machine.mac)?;
    thief.boot(Asker::Ipxe, 3).await?;
    let (text, code) = script(&thief, machine.mac)?;
    assert_eq!(
        code, 200,
        "what the page admits: who holds the lease reads the script"
    );
    let (own, theirs) = (Key::new(&site, "own")?, Key::new(&site, "theirs")?);
    let stolen = theirs.claim(&site, &thief, machine.mac, &boot_args(&text)?.ticket)?;
    let stolen = stolen.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    unplug(&thief)?;
    machine.lease(Asker::System, 4).await?;
    assert_eq!(
        refused(own.claim(&site, &machine, machine.mac, &ticket)?)?,
        "ticket-replaced"
    );
    let id = stolen.claimed.machine.to_string();
    let detail = site.server.api()?.machine(&id).await?;
    assert_eq!(
        detail.machine.status.state,
        MachineState::Quarantined,
        "{}",
        detail.machine.status.sentence
    );
    assert_eq!(stolen.ask(&machine, "assignment", &[])?.1, 403);
    Ok(())
}

/// Rows "report, plan, steps" and "resident agent": nothing works without the machine's own certificate.
#[tokio::test]
async fn only_the_machine_speaks_for_the_machine() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger, ticket) = scene(&site).await?;
    let (own, theirs) = (Key::new(&site, "own")?, Key::new(&site, "theirs")?);
    let own = own
        .claim(&site, &machine, machine.mac, &ticket)?
        .map_err(|p| anyhow::anyhow!("{p:?}"))?;
    // The stranger's best: a certificate as a machine of its own. It speaks only for that machine.
    stranger.boot(Asker::Ipxe, 5).await?;
    let ticket = boot_args(&script(&stranger, stranger.mac)?.0)?.ticket;
    let theirs = theirs
        .claim(&site, &stranger, stranger.mac, &ticket)?
        .map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_ne!(own.claimed.machine, theirs.claimed.machine);
    let (assignment, code) = theirs.ask(&stranger, "assignment", &[])?;
    assert_eq!(code, 200);
    assert!(!assignment.to_string().contains(&own.claimed.machine.to_string()));
    let (_, closed) = site.image("closed-1")?;
    for digest in [closed, site.image("open-1")?.1] {
        let (_, code) = theirs.ask(&stranger, &format!("images/{digest}"), &[])?;
        assert_eq!(code, 404, "an image of no plan of its own");
    }
    // A self-made certificate with the machine's name in it.
    let mut forged = rcgen::CertificateParams::default();
    forged.distinguished_name = rcgen::DistinguishedName::new();
    forged
        .distinguished_name
        .push(rcgen::DnType::CommonName, own.claimed.machine.to_string());
    let pair = rcgen::KeyPair::generate()?;
    let files = site.directory().join("forged");
    std::fs::write(files.with_extension("crt"), forged.self_signed(&pair)?.pem())?;
    std::fs::write(files.with_extension("key"), pair.serialize_pem())?;
    let text = |extension: &str| files.with_extension(extension).to_string_lossy().into_owned();
    let ca = site.server.ca_file().to_string_lossy().into_owned();
    let output = stranger.run(
        "curl",
        &[
            "-s",
            "-m",
            "5",
            "--cacert",
            &ca,
            "--cert",
            &text("crt"),
            "--key",
            &text("key"),
            "https://10.77.0.1:8443/agent/v1/assignment",
        ],
    )?;
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "refused in the handshake"
    );
    // A newer claim ends the older identity. Whoever still uses the older one has not rebooted, so there are
    // two of them.
    machine.boot(Asker::Ipxe, 6).await?;
    let again = boot_args(&script(&machine, machine.mac)?.0)?.ticket;
    let newer = Key::new(&site, "newer")?.claim(&site, &machine, machine.mac, &again)?;
    let newer = newer.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_eq!(newer.ask(&machine, "assignment", &[])?.1, 200);
    assert_eq!(
        own.ask(&machine, "assignment", &[])?.1,
        403,
        "one identity at a time"
    );
    assert_eq!(
        newer.ask(&machine, "assignment", &[])?.1,
        403,
        "an alarm stops both"
    );
    let detail = site
        .server
        .api()?
        .machine(&newer.claimed.machine.to_string())
        .await?;
    assert_eq!(detail.machine.status.state, MachineState::Quarantined);
    Ok(())
}

/// Row "image": anyone may read a public one; a private one does not exist for a machine without a plan for
/// it.
#[tokio::test]
async fn a_private_image_is_not_served_in_clear() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let stranger = site.port(STRANGER)?;
    stranger.boot(Asker::System, 1).await?;
    for (folder, expected) in [("open-1", 200), ("closed-1", 404)] {
        let (_, digest) = site.image(folder)?;
        let (_, code) = stranger.curl(&[
            "-o",
            "/dev/null",
            &format!("http://10.77.0.1:8067/images/{digest}"),
        ])?;
        assert_eq!(code, expected, "{folder}");
    }
    Ok(())
}

/// A stranger's report, which can say anything.
fn report(nonce: char, serial: &str, macs: &[Mac]) -> Value {
    let nics: Vec<Value> = macs
        .iter()
        .enumerate()
        .map(|(n, mac)| serde_json::json!({"name": format!("eth{n}"), "mac": mac}))
        .collect();
    serde_json::json!({
        "nonce": nonce.to_string().repeat(32), "runs_on": "mini-os",
        "report": {"schema": 1, "nics": nics,
            "system": {"manufacturer": "Slipway", "serial": serial, "uuid": "5d0b2a10-77aa-4c1e-9d55-001122aabbcd"}},
    })
}

/// S1: a MAC that a stranger reported is not theirs: the machine that later boots with it is a machine of its
/// own.
#[tokio::test]
async fn a_mac_that_a_stranger_reported_is_not_theirs() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let (machine, stranger) = (site.port(MACHINE)?, site.port(STRANGER)?);
    stranger.boot(Asker::Ipxe, 1).await?;
    let ticket = boot_args(&script(&stranger, stranger.mac)?.0)?.ticket;
    let theirs = Key::new(&site, "theirs")?.claim(&site, &stranger, stranger.mac, &ticket)?;
    let theirs = theirs.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    let body = report('a', "GENUINE-1", &[stranger.mac, machine.mac]).to_string();
    let json = ["-H", "content-type: application/json", "-d", &body];
    assert_eq!(theirs.ask(&stranger, "report", &json)?.1, 200);
    // The machine arrives.
    machine.boot(Asker::Ipxe, 2).await?;
    let (text, code) = script(&machine, machine.mac)?;
    assert_eq!(code, 200, "{text}");
    let own = Key::new(&site, "own")?.claim(&site, &machine, machine.mac, &boot_args(&text)?.ticket)?;
    let own = own.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_ne!(
        own.claimed.machine, theirs.claimed.machine,
        "it is a machine of its own"
    );
    let api = site.server.api()?;
    let shown = api.machine(&machine.mac.to_string()).await?.machine;
    assert_eq!(shown.id, own.claimed.machine);
    let stranger_is = api.machine(&stranger.mac.to_string()).await?.machine;
    assert_eq!(stranger_is.reported_macs, vec![machine.mac]);
    // The next report does not list it, and nothing is kept.
    let body = report('b', "GENUINE-1", &[stranger.mac]).to_string();
    let json = ["-H", "content-type: application/json", "-d", &body];
    theirs.ask(&stranger, "report", &json)?;
    assert!(
        api.machine(&stranger.mac.to_string())
            .await?
            .machine
            .reported_macs
            .is_empty()
    );
    Ok(())
}

/// S6: a process on a running machine has the machine's address, but gets no ticket: nobody heard the
/// firmware.
#[tokio::test]
async fn an_unprivileged_process_is_not_the_machine() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let machine = site.port(MACHINE)?;
    // Its system asks for an address, and so may an unprivileged process, in firmware's words, but not from
    // port 68.
    machine.boot(Asker::System, 1).await?;
    let forged = e2e::sim::dhcp::Message::new(1, Asker::Uefi, machine.mac, 2).bytes();
    machine
        .socket(40_068)?
        .send_to(&forged, "255.255.255.255:67")
        .await?;
    let (text, code) = script(&machine, machine.mac)?;
    assert_eq!(code, 200, "{text}");
    assert!(!text.contains("slipway.ticket"), "{text}");
    assert!(text.contains("held") && text.contains("dhcp netX"), "{text}");
    let api = site.server.api()?;
    let shown = api.machine(&machine.mac.to_string()).await?.machine;
    assert_eq!(shown.status.state, MachineState::New, "nothing was moved by it");
    let held = shown.held.context("the page says so")?;
    assert!(held.contains("slipway machine admit"), "{held}");
    assert!(site.explain(machine.mac)?.contains("held"), "and explain");
    // A person at the rack admits it.
    api.verb(shown.id.as_str(), Verb::Admit).await?;
    let (text, _) = script(&machine, machine.mac)?;
    let first = boot_args(&text)?.ticket;
    let own = Key::new(&site, "own")?.claim(&site, &machine, machine.mac, &first)?;
    own.map_err(|p| anyhow::anyhow!("{p:?}"))?;

    // Another machine boots normally; once its agent has spoken, its address alone opens nothing any more.
    let second = site.port(STRANGER)?;
    second.boot(Asker::Ipxe, 3).await?;
    let ticket = boot_args(&script(&second, second.mac)?.0)?.ticket;
    let agent = Key::new(&site, "second")?.claim(&site, &second, second.mac, &ticket)?;
    let agent = agent.map_err(|p| anyhow::anyhow!("{p:?}"))?;
    assert_eq!(agent.ask(&second, "assignment", &[])?.1, 200);
    let (text, _) = script(&second, second.mac)?;
    assert!(
        !text.contains("slipway.ticket") && text.contains("held"),
        "{text}"
    );
    second.boot(Asker::Ipxe, 4).await?;
    boot_args(&script(&second, second.mac)?.0)?;
    Ok(())
}

/// S9, S11: fetching a script makes nobody known, and nobody gets an endless number of scripts.
#[tokio::test]
async fn a_script_makes_nobody_known_and_scripts_are_rate_limited() -> Result<()> {
    let Some(site) = Site::start().await? else {
        return Ok(());
    };
    let stranger = site.port(STRANGER)?;
    stranger.boot(Asker::Ipxe, 1).await?;
    let mut tickets = 0;
    for _ in 0..20 {
        let (text, _) = script(&stranger, stranger.mac)?;
        tickets += usize::from(text.contains("slipway.ticket"));
    }
    assert_eq!(tickets, 10, "in a minute");
    let networks = site.server.api()?.list(routes::NETWORKS, [], &()).await?;
    let lab = networks.iter().find(|n| n.name == "lab").context("the network")?;
    assert_eq!(lab.strangers, 1, "it has not reported: {lab:?}");
    let history = site.server.api()?.history(&stranger.mac.to_string()).await?;
    assert!(history.len() < 6, "{history:?}");
    Ok(())
}
