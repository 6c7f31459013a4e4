//! A machine whose last event was a request for a file, or that is loading one.

use inventory_api::boot::{BootEventKind, RunningTransfer, TftpEnd};
use netboot_protocol::{GRUB, UNIFIED};

use super::asked::asked;
use super::attempt::{Attempt, is_loader};
use super::{Facts, QUIET, STOPPED, agent, boot_servers, file_name, silence};
use crate::text::{if_any, value_or};

/// A running transfer.
pub(super) fn running(facts: &Facts<'_>, attempt: &Attempt<'_>, one: &RunningTransfer) -> String {
    let seconds = |at| facts.now.since(at) / 1000;
    let (file, by, ip, server) = (&one.file, &one.by, one.ip, facts.server(attempt.last));
    let loading = format!("It has been loading {file} by {by} for {} s", seconds(one.begun));
    let so_far = format!("{} of {} bytes have arrived", one.bytes, one.of);
    let idle = seconds(one.moved);
    if idle < STOPPED {
        return format!("{loading}: {so_far}.");
    }
    let tftp = match by.as_str() {
        "TFTP" => format!(
            " With TFTP, packets that are too large or come from ports above 1023 may be lost: set tftp_blksize_max or tftp_single_port in \
             [[network]] {}.",
            facts.network_name(attempt.last)
        ),
        _ => String::new(),
    };
    format!(
        "{loading} and has stopped: {so_far}, and none for {idle} s. The network loses its packets (link, MTU, filter between {ip} and {server}), \
         or the machine hangs or was switched off.{tftp}"
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
            "{asked}, a script that is only for an address that has just loaded {GRUB} from here: restart the machine."
        ),
        TftpEnd::Busy => format!(
            "{asked} and was not answered: too many transfers at once (512 in all, 32 to one address); it asks again."
        ),
        TftpEnd::Failed => format!(
            "{asked}, but this server could not send it: the file cannot be read, or no socket could be opened. The server's log says which."
        ),
        TftpEnd::NeverAnswered => format!(
            "{asked}, was sent the beginning and acknowledged nothing: UDP packets from {server}'s ports above 1023 do not reach it (only \
             port 69 is open), or it stopped. Let the firewall track TFTP, or set tftp_single_port = true in [[network]] {network}."
        ),
        TftpEnd::Silent if bytes == 0 => {
            let block = block.map_or(String::new(), |block| format!(" of {block} bytes"));
            format!(
                "{asked} and acknowledged none of the file's blocks{block}: packets of that size do not pass (MTU of a tunnel or VLAN). Set \
                 tftp_blksize_max = 1024 (or 512) in [[network]] {network} and restart Slipway, or fix the MTU."
            )
        }
        TftpEnd::Unreachable => format!(
            "It broke off {file} after {bytes} bytes of TFTP {ago} s ago: its host reports that nobody listens there any more; its firmware \
             gave up. Look at the machine's console."
        ),
        TftpEnd::Refused => format!(
            "It broke off {file} itself after {bytes} bytes of TFTP {ago} s ago: not enough memory, or nowhere to write it. Look at the \
             machine's console."
        ),
        TftpEnd::Silent | TftpEnd::Superseded | TftpEnd::SizeAsked | TftpEnd::Unknown => format!(
            "It broke off {file} after {bytes} bytes of TFTP {ago} s ago: packets between it and {server} are lost (a bad link, a filter, \
             packets of {} bytes that do not pass: tftp_blksize_max in [[network]] {network}), or it was switched off.",
            block.unwrap_or(512)
        ),
    }
}

fn not_found(facts: &Facts<'_>, attempt: &Attempt<'_>, file: &str) -> String {
    let (event, server) = (attempt.last, facts.server(attempt.last));
    let (name, told, ago) = (file_name(file), attempt.told(), facts.ago(event));
    let here = format!("It asked {server} for {file} {ago} s ago, which does not exist here");
    if matches!(name, "kernel" | "initramfs" | "site" | UNIFIED) {
        let arm = match file.contains("arm64/") {
            true => " --arch arm64 --agent FILE",
            false => "",
        };
        return format!(
            "{here}: this server has no mini-os for it. Run `slipway mini-os build{arm}`; no restart is needed."
        );
    }
    if is_loader(name) || told.is_some_and(|told| told.ends_with(name)) {
        return format!(
            "{here}: this server lacks that loader. Install Debian's packages ipxe, shim-signed and grub-efi-amd64-signed, or set its \
             directory in [boot] loaders, and restart Slipway."
        );
    }
    let ours = if_any(" Slipway told it to load ", told.map(|told| format!("{told}.")));
    let asked_of = attempt.find(|event| asked(event)?.facts.server);
    let from = match (boot_servers(facts.network(event)), asked_of) {
        (Some(servers), _) => format!("another server names it: {servers}"),
        (None, Some(other)) if other.to_string() != server => {
            format!("the DHCP server {other} names it (its option 67 and next-server)")
        }
        _ => "another DHCP server (option 67) or the machine's firmware setup names it".to_owned(),
    };
    format!("{here} and which Slipway does not name: {from}. Remove it there.{ours}")
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
    let name = file_name(path);
    let from = value_or("", event.ip, "an address");
    let is_script = matches!(name, "boot.ipxe" | "boot.args" | "grub.cfg");
    let request = format!("It asked {server} for {path} by HTTP {ago} s ago");
    match *status {
        403 => {
            let other = attempt.find(|event| asked(event)?.facts.server);
            let why = match other.filter(|other| other.to_string() != server) {
                None => "it uses an address that it did not get from this server".to_owned(),
                Some(other) => format!(
                    "it has its address from the DHCP server {other}, which is not Slipway: switch that off, or set mode = \"proxy\""
                ),
            };
            format!(
                "{from} asked for its {path} {ago} s ago and was refused (403): that address does not hold this machine's lease. Either \
                 somebody is trying to speak for it, or {why}."
            )
        }
        409 => format!("{request} and was refused: its boot target is its own disk."),
        404 if is_script => silence::ignored(facts),
        404 => not_found(facts, attempt, path),
        500..=599 if is_script => format!(
            "{request}, but the script could not be made (status {status}): the server's log says why. Is its disk full (df of data_dir)?"
        ),
        500..=599 => format!(
            "{request}, but this server cannot read that file (status {status}): run `slipway mini-os build`, or make it readable for the \
             user Slipway runs as; the server's log names it."
        ),
        400..=499 => format!("{request} and got status {status}."),
        _ if *head => format!("It asked how long {path} is {ago} s ago; it loads that next."),
        _ if *partial => format!(
            "It was loading {path} from {server} by HTTP when its connection broke off {ago} s ago, after {bytes} bytes had arrived: the \
             network loses packets, or the machine stopped reading or was switched off."
        ),
        _ => fetched(facts, attempt, path, *bytes, "HTTP", ago),
    }
}

/// A file was loaded completely: what comes next.
fn fetched(facts: &Facts<'_>, attempt: &Attempt<'_>, path: &str, bytes: u64, by: &str, ago: u64) -> String {
    let server = facts.server(attempt.last);
    let loaded = format!("It loaded {path} ({bytes} bytes) by {by} from {server} {ago} s ago");
    let http = format!("HTTP (TCP port {} of {server})", facts.ports.http);
    match file_name(path) {
        "boot.ipxe" | "grub.cfg" => format!(
            "{loaded}, its boot script; its kernel comes next. If it does not, the loader hangs, or {by} from {server} breaks off: look at \
             the machine's console."
        ),
        "autoexec.ipxe" => format!(
            "{loaded}, so iPXE runs; its boot script comes next. If it does not, {http} is filtered between the machine and this server: \
             look at the machine's console."
        ),
        "kernel" => format!(
            "{loaded}; the archives behind it (initramfs, site) come next. If they do not, it has too little memory, its firmware refuses the \
             kernel (Secure Boot), or the link failed: look at the machine's console."
        ),
        "initramfs" | "site" | "boot.args" => agent::not_heard(facts, attempt, &loaded),
        UNIFIED => format!(
            "{loaded}, the signed mini-os; it asks for boot.args next. If it does not, its firmware does not trust the key that signed it, or \
             it has no driver for its NIC: look at the machine's console."
        ),
        // Not every GRUB has rhboot/grub2#87: without it, GRUB asks the server that gave the address.
        GRUB => format!(
            "{loaded}; its script (grub/grub.cfg) comes next. If it does not, and another DHCP server is here, Debian 12's GRUB asks that one \
             for it: `slipway mini-os build` fetches Debian 13's, which asks this server; then restart Slipway. Look at the machine's console."
        ),
        name => {
            let silent = match ago {
                QUIET.. => format!(" and has been silent since, for {ago} s"),
                _ => String::new(),
            };
            format!(
                "{loaded}{silent}; its boot script comes next. If it does not, the loader hangs, has no driver for this NIC, {http} is \
                 filtered, or Secure Boot refuses {name}: look at the machine's console."
            )
        }
    }
}
