//! A machine whose mini-os or agent was heard or is overdue.

use inventory_api::boot::{BootEvent, BootEventKind, ConnectionEnd};

use super::attempt::Attempt;
use super::{Facts, QUIET, Stage};
use crate::text::{if_any, value_or};

/// The result if the agent was heard last; `None`: it was not.
pub(super) fn of(facts: &Facts<'_>, attempt: &Attempt<'_>) -> Option<(Stage, String)> {
    let last = attempt.last;
    let ago = facts.ago(last);
    let mut heard = None;
    if let BootEventKind::Agent {
        asked,
        status,
        code,
        detail,
    } = &last.what
    {
        if *status >= 400 {
            let code = code.as_deref().unwrap_or("refused");
            let detail = detail.as_deref().unwrap_or("the server's log says why");
            let full_stop = if detail.ends_with('.') { "" } else { "." };
            let said = format!(
                "Its agent runs, and its {asked} was refused {ago} s ago (status {status}, {code}): {detail}{full_stop}"
            );
            return Some((Stage::Agent, said));
        }
        if asked == "claim" && ago >= QUIET {
            let said = format!(
                "Its agent claimed its boot ticket {ago} s ago, but its report has not come: a collector hangs, or large packets to TCP port {} of \
                 {} are lost (MTU). Look at the machine's console.",
                facts.ports.api,
                facts.server(last)
            );
            return Some((Stage::Agent, said));
        }
        heard = Some(last.at);
    }
    // A broken connection is news even if the agent was heard before.
    let broken = matches!(last.what, BootEventKind::Connection { .. });
    let seen = facts.machine.and_then(|machine| machine.last_seen);
    // An equal time counts: both are from the same clock, read one after the other.
    let seen = seen.filter(|seen| *seen >= last.at && !broken).or(heard)?;
    let ago = facts.now.since(seen) / 1000;
    let said = format!("It came up: its agent was heard {ago} s ago.");
    Some((Stage::Agent, said))
}

/// Kernel and archives were loaded, but the agent was not heard. `what`: what was heard last.
pub(super) fn not_heard(facts: &Facts<'_>, attempt: &Attempt<'_>, what: &str) -> String {
    let (last, server, api) = (attempt.last, facts.server(attempt.last), facts.ports.api);
    let ago = facts.ago(last);
    if matches!(&last.what, BootEventKind::Dhcp { .. }) {
        let has = if_any(" and has the address ", attempt.address());
        return format!(
            "{what}{has}, {ago} s ago; its agent has not reached https://{server}:{api} yet. If this does not change, TCP port {api} from it to \
             {server} is filtered, or its agent ended: look at the machine's console."
        );
    }
    format!(
        "{what}; the mini-os starts next, and asks for an address by DHCP. Neither that nor its agent has been heard for {ago} s. If this does \
         not change, look at its console: too little memory, Secure Boot, a kernel that hangs, or no driver for its NIC (the `full` mini-os has \
         more of them: `slipway mini-os build --variant full`)."
    )
}

/// A connection that ended without a request.
pub(super) fn connection(facts: &Facts<'_>, event: &BootEvent, port: u16, end: ConnectionEnd) -> String {
    let (server, ago) = (facts.server(event), facts.ago(event));
    let from = value_or("", event.ip, "its address");
    let (agent, mac) = (port == facts.ports.api, facts.mac);
    let who = format!("{} ({from})", if agent { "Its agent" } else { "It" });
    match end {
        ConnectionEnd::Clock => format!(
            "{who} breaks off TLS to {server}:{port}, {ago} s ago: by its clock this server's certificate is not valid. Its clock is wrong (a \
             dead battery): set it in the firmware's setup, or, if it is right, set this server's clock."
        ),
        ConnectionEnd::Authority => format!(
            "{who} breaks off TLS to {server}:{port}, {ago} s ago: it does not know our authority. It was booted or installed by another \
             Slipway server, or DATA_DIR/ca was replaced: boot it again by this server, or deploy it again (`slipway machine deploy {mac}`)."
        ),
        ConnectionEnd::Certificate => format!(
            "{who} was refused by TLS at {server}:{port}, {ago} s ago: its machine certificate is not valid here (it has expired, or another \
             Slipway server signed it). Deploy it again (`slipway machine deploy {mac}`)."
        ),
        ConnectionEnd::Closed | ConnectionEnd::TimedOut | ConnectionEnd::Unknown if agent => format!(
            "{who} connected to {server}:{port} {ago} s ago, but TLS was not completed: something between them breaks it off (a filter or \
             proxy that reads TLS), or large packets are lost (MTU). TCP port {port} must pass unchanged."
        ),
        ConnectionEnd::Closed | ConnectionEnd::TimedOut | ConnectionEnd::Unknown => format!(
            "{who} connected to {server}, TCP port {port}, {ago} s ago, but no request came: packets are lost, or something between them \
             breaks the connection off. TCP port {port} must pass unchanged."
        ),
        ConnectionEnd::Protocol => format!(
            "{who} connected to {server}:{port} {ago} s ago and did not speak TLS: something else answers for it, or a URL is wrong."
        ),
        ConnectionEnd::Busy => format!(
            "{who} was refused at {server}:{port} {ago} s ago: too many connections from its address. Something there opens them and does \
             not close them."
        ),
    }
}
