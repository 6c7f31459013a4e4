//! A machine whose last event was a request for a file, or that is loading one.

use inventory_api::boot::{BootEventKind, RunningTransfer, TftpEnd};
use netboot_protocol::{Loader, UNIFIED};

use super::attempt::Attempt;
use super::{Facts, QUIET, STOPPED, agent, boot_servers, dhcp, silence};
use netboot_protocol::GRUB;

/// A running transfer.
pub(super) fn running(facts: &Facts<'_>, attempt: &Attempt<'_>, one: &RunningTransfer) -> String {
    let seconds = |at| facts.now.since(at) / 1000;
    let loading = format!(
        "It has been loading {} by {} for {} s",
        one.file,
        one.by,
        seconds(one.begun)
    );
    let so_far = format!("{} of {} bytes have arrived", one.bytes, one.of);
    let stands = seconds(one.moved);
    if stands < STOPPED {
        return format!("{loading}: {so_far}.");
    }
    let network = facts.network_name(attempt.last);
    let tftp = if one.by == "TFTP" {
        format!(
            " By TFTP, packets that are too large or come from ports above 1023 may be what is lost: tftp_blksize_max and \
             tftp_single_port in [[network]] {network}."
        )
    } else {
        String::new()
    };
    format!(
        "{loading} and has stopped: {so_far}, and none for {stands} s. The network loses its packets (link, MTU, filter between {} and \
         {}), or the machine hangs or was switched off.{tftp}",
        one.ip,
        facts.server(attempt.last)
    )
}

/// A TFTP request that ended.
pub(super) fn tftp(
    facts: &Facts<'_>,
    attempt: &Attempt<'_>,
    file: &str,
    bytes: u64,
    end: TftpEnd,
    block: Option<u16>,
) -> String {
    let event = attempt.last;
    let (server, ago) = (facts.server(event), facts.ago(event));
    let network = facts.network_name(event);
    let asked = format!("It asked {server} for {file} by TFTP {ago} s ago");
    match end {
        TftpEnd::Complete => fetched(facts, attempt, file, bytes, "TFTP", ago),
        TftpEnd::NotFound => not_found(facts, attempt, file),
        TftpEnd::NoGrub => format!(
            "{asked}, a script that only an address gets which has loaded {GRUB} from here just before: start it anew."
        ),
        TftpEnd::Busy => format!(
            "{asked} and was not answered: too many transfers at once (512 in all, 32 to one address); it asks again."
        ),
        TftpEnd::Failed => format!(
            "{asked}, and this server could not send it: the file cannot be read, or no socket could be opened. The server's log says which."
        ),
        TftpEnd::NeverAnswered => format!(
            "{asked}, was sent the beginning and acknowledged nothing: UDP packets from {server}'s ports above 1023 do not reach it (only \
             port 69 is open), or it stopped. Let the firewall follow TFTP, or set tftp_single_port = true in [[network]] {network}."
        ),
        TftpEnd::Silent if bytes == 0 => {
            let block = block.map_or(String::new(), |block| format!(" of {block} bytes"));
            format!(
                "{asked} and acknowledged none of the file's blocks{block}: packets of that size do not pass (MTU of a tunnel or VLAN). Set \
                 tftp_blksize_max = 1024 (or 512) in [[network]] {network} and restart Slipway, or mend the MTU."
            )
        }
        TftpEnd::Unreachable => format!(
            "It broke off {file} after {bytes} bytes of TFTP {ago} s ago: its host says that nobody listens there any more; its firmware gave \
             up. Look at the machine's console."
        ),
        TftpEnd::Refused => format!(
            "It broke off {file} itself after {bytes} bytes of TFTP {ago} s ago: too little memory for it, or no place to write. Look at the \
             machine's console."
        ),
        TftpEnd::Silent | TftpEnd::Superseded | TftpEnd::SizeAsked | TftpEnd::Unknown => format!(
            "It broke off {file} after {bytes} bytes of TFTP {ago} s ago: {server}'s packets to it, or its answers, are lost (a bad link, a \
             filter, packets of {} bytes that do not pass: tftp_blksize_max in [[network]] {network}), or it was switched off.",
            block.unwrap_or(512)
        ),
    }
}

fn not_found(facts: &Facts<'_>, attempt: &Attempt<'_>, file: &str) -> String {
    let (event, server) = (attempt.last, facts.server(attempt.last));
    let name = file.rsplit('/').next().unwrap_or(file);
    let told = attempt.told();
    let here = format!(
        "It asked {server} for {file} {} s ago, which is not there",
        facts.ago(event)
    );
    if matches!(name, "kernel" | "initramfs" | "site") || name == UNIFIED {
        let arm = if file.contains("arm64/") {
            " --arch arm64 --agent FILE"
        } else {
            ""
        };
        return format!(
            "{here}: this server has no mini-os for it. Run `slipway mini-os build{arm}`; no restart is needed."
        );
    }
    if Loader::ALL.iter().any(|loader| loader.file() == name)
        || name == GRUB
        || told.is_some_and(|told| told.ends_with(name))
    {
        return format!(
            "{here}: this server lacks that loader. Install Debian's packages ipxe, shim-signed and grub-efi-amd64-signed, or name its \
             directory in [boot] loaders, and restart Slipway."
        );
    }
    let ours = told.map_or(String::new(), |told| format!(" Slipway told it {told}."));
    let asked_of = attempt.find(|event| dhcp::asked(event)?.facts.server);
    let from = match (boot_servers(facts.network(event)), asked_of) {
        (Some(servers), _) => format!("another server names it: {servers}"),
        (None, Some(other)) if other.to_string() != server => {
            format!("the DHCP server {other} names it (its option 67 and next-server)")
        }
        _ => "another DHCP server names it (option 67), or it stands in the machine's firmware setup"
            .to_owned(),
    };
    format!("{here}, and which Slipway does not name: {from}. Take it out there.{ours}")
}

/// The last HTTP request of an attempt.
pub(super) fn http(facts: &Facts<'_>, attempt: &Attempt<'_>) -> String {
    let event = attempt.last;
    let BootEventKind::Http {
        path,
        bytes,
        status,
        head,
        partial,
    } = &event.what
    else {
        return String::new();
    };
    let (server, ago) = (facts.server(event), facts.ago(event));
    let name = path.rsplit('/').next().unwrap_or(path);
    let from = event.ip.map_or("an address".to_owned(), |ip| ip.to_string());
    let is_script = matches!(name, "boot.ipxe" | "boot.args" | "grub.cfg");
    let asked = format!("It asked {server} for {path} by HTTP {ago} s ago");
    match *status {
        403 => {
            let other = attempt.find(|event| dhcp::asked(event)?.facts.server);
            let other = other.filter(|other| other.to_string() != server);
            let why = other.map_or("or it uses an address that it did not get from this server".to_owned(), |other| {
                format!("or it has its address from the DHCP server {other}, which is not Slipway: switch that off, or set mode = \"proxy\"")
            });
            format!(
                "{from} asked for its {path} {ago} s ago and was refused (403): that address does not hold this machine's lease. Either \
                 somebody tries to speak for it, {why}."
            )
        }
        409 => format!("{asked} and was refused: it is to boot its own disk."),
        404 if is_script => silence::ignored(facts),
        404 => not_found(facts, attempt, path),
        500..=599 if is_script => format!(
            "{asked}, and the script could not be made (status {status}): the server's log says why. Is its disk full (df of data_dir)?"
        ),
        500..=599 => format!(
            "{asked}, and this server cannot read that file (status {status}): run `slipway mini-os build`, or make it readable for the user \
             Slipway runs as; the server's log names it."
        ),
        400..=499 => format!("{asked} and got status {status}."),
        _ if *head => format!("It asked how long {path} is {ago} s ago; it loads that next."),
        _ if *partial => format!(
            "It was loading {path} from {server} by HTTP when its connection broke off {ago} s ago, after {bytes} bytes had arrived: the \
             network loses packets, or the machine was switched off or stopped reading."
        ),
        _ => fetched(facts, attempt, path, *bytes, "HTTP", ago),
    }
}

/// A file was loaded completely: what comes next.
fn fetched(facts: &Facts<'_>, attempt: &Attempt<'_>, path: &str, bytes: u64, by: &str, ago: u64) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let server = facts.server(attempt.last);
    let loaded = format!("It loaded {path} ({bytes} bytes) by {by} from {server} {ago} s ago");
    let http = format!("HTTP (TCP port {} of {server})", facts.ports.http);
    match name {
        "boot.ipxe" | "grub.cfg" => format!(
            "{loaded}, its boot script; its kernel comes next. If it does not, the loader hangs, or {by} from {server} breaks off: look at \
             the machine's console."
        ),
        "autoexec.ipxe" => format!(
            "{loaded}, so iPXE runs; its boot script comes next. If it does not, {http} is filtered between the machine and this server: \
             look at the machine's console."
        ),
        "kernel" => format!(
            "{loaded}; the archives behind it (initramfs, site) come next. If they do not, it has too little memory for them, its firmware \
             refuses the kernel (Secure Boot), or the link broke off: look at the machine's console."
        ),
        "initramfs" | "site" | "boot.args" => agent::not_heard(facts, attempt, &loaded),
        name if name == UNIFIED => format!(
            "{loaded}, the signed mini-os; it asks for boot.args next. If it does not, its firmware does not trust the key it is signed \
             with, or it has no driver for its NIC: look at the machine's console."
        ),
        // Not every GRUB has rhboot/grub2#87: without it, GRUB asks the server that gave the address.
        GRUB => format!(
            "{loaded}; its script (grub/grub.cfg) comes next. If it does not, and another DHCP server is here, Debian 12's GRUB asks that one \
             for it: `slipway mini-os build` fetches Debian 13's, which asks this server; then restart it. Look at the machine's console."
        ),
        _ => {
            let quiet = ago >= QUIET;
            let silent = if quiet {
                format!(" and has been silent since, for {ago} s")
            } else {
                String::new()
            };
            format!(
                "{loaded}{silent}; its boot script comes next. If it does not, the loader hangs, has no driver for this NIC, {http} is \
                 filtered, or Secure Boot refuses {name}: look at the machine's console."
            )
        }
    }
}
