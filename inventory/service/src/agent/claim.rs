//! Claims, and the alarms raised when two speak for one machine.

use std::net::IpAddr;

use inventory_api::agent::{ClaimRequest, ClaimResponse};
use inventory_api::{MachineId, Problem};
use lifecycle::Event;
use lifecycle::ticket::{Before, Claim, Refusal, Ruling, judge};

use crate::Service;
use crate::advance::{advance_in, after_commit};
use crate::problem::{internal, problem};
use crate::secret;
use inventory_api::machine::Actor;
use store::{Change, TicketRow};
use tls::SigningRequest;

impl Service {
    /// Trades a ticket for a certificate. `peer` is the address that sent the claim; `page` is the base URL
    /// of the machine pages, to which the machine's id is appended.
    pub async fn claim(
        &self,
        claim: &ClaimRequest,
        peer: IpAddr,
        page: Option<&str>,
    ) -> Result<ClaimResponse, Problem> {
        let core = &self.core;
        let csr = SigningRequest::from_pem(&claim.csr_pem)
            .map_err(|e| problem(400, "bad-csr", "Signing request not usable", e.to_string()))?;
        let key_digest = csr.key_digest();
        let digest = secret::digest(&claim.ticket);
        if !core.store.has_ticket(&digest).await? {
            tracing::warn!(%peer, mac = %claim.boot_mac, "a claim with an unknown ticket was refused");
            return Err(ticket_unknown());
        }
        let now = core.clock.now();
        let mut change = core.store.begin().await?;
        let ticket = change.ticket(&digest).await?.ok_or_else(ticket_unknown)?;
        let id = ticket.machine.clone();
        let response = |certificate_pem: String| ClaimResponse {
            machine: id.clone(),
            certificate_pem,
            server_time: core.clock.now(),
            page_url: page.map(|base| format!("{base}/{id}")),
        };
        // The certificate that this key already got.
        let mut issued = None;
        let before = match &ticket.key_digest {
            Some(claimed) if *claimed != key_digest => Some(Before::OtherKey),
            Some(_) => {
                let serial = ticket.certificate.as_deref().unwrap_or_default();
                issued = change.certificate(serial).await?.filter(|c| !c.revoked);
                Some(Before::SameKey {
                    certificate_good: issued.is_some(),
                })
            }
            None => None,
        };
        let from_there = IpAddr::V4(ticket.ip) == peer || (core.config.boot.simulated && peer.is_loopback());
        let facts = Claim {
            before,
            void: ticket.void,
            expired: now >= ticket.expires_at,
            from_holder: from_there && ticket.mac == claim.boot_mac,
            newer_claimed: ticket.void && change.newer_ticket_claimed(&digest).await?,
        };
        match judge(facts) {
            Ruling::Issue => {}
            Ruling::Repeat => return Ok(response(issued.map(|c| c.pem).unwrap_or_default())),
            Ruling::Refuse(refusal) => {
                tracing::warn!(machine = %id, %peer, lease = %ticket.ip, mac = %claim.boot_mac, code = refusal.code(),
                    "a claim was refused");
                if refusal.is_alarm() {
                    self.alarm_about_ticket(change, &digest, &ticket, refusal, peer)
                        .await?;
                }
                return Err(refused(refusal, &ticket, peer));
            }
        }
        let advanced = advance_in(core, &mut change, &id, Event::Claimed, &Actor::Agent, now).await?;
        let issued = core
            .authority
            .sign_machine(&csr, &id, now)
            .map_err(|e| internal(&e))?;
        change
            .add_certificate(&id, &issued.serial, &issued.pem, now, issued.expires)
            .await?;
        change.claim_ticket(&digest, &key_digest, &issued.serial).await?;
        change.revoke_folded(&id).await?;
        change.put_last_seen(&id, now).await?;
        change.commit().await?;
        core.memory.update_session(&id, |session| {
            session.runs_on = None;
            session.progress = None;
            session.last_seen = Some(now);
        });
        after_commit(core, &advanced);
        let version: String = claim.agent_version.chars().take(40).collect();
        tracing::info!(machine = %id, %peer, version = ?version, "an agent claimed its ticket");
        Ok(response(issued.pem))
    }

    /// Somebody else holds a ticket of this machine: raises an alarm, once per ticket. The state decides what
    /// follows.
    async fn alarm_about_ticket(
        &self,
        mut change: Change,
        digest: &[u8; 32],
        ticket: &TicketRow,
        refusal: Refusal,
        peer: IpAddr,
    ) -> Result<(), Problem> {
        let (mac, ip) = (ticket.mac, ticket.ip);
        let detail = match refusal {
            Refusal::Replaced => format!(
                "{mac} ({ip}) claimed its boot ticket after somebody had fetched a newer one in its place and claimed that."
            ),
            Refusal::OtherKey | Refusal::Revoked | Refusal::Old | Refusal::Elsewhere => format!(
                "A boot ticket that was handed to {mac} ({ip}) was claimed a second time, with another key, from {peer}."
            ),
        };
        tracing::error!(machine = %ticket.machine, detail, "ALARM: two hold a boot ticket of one machine");
        if ticket.alarmed {
            return Ok(());
        }
        change.ticket_alarmed(digest).await?;
        self.alarm(change, &ticket.machine, refusal.code(), detail).await
    }

    /// A certificate was shown that a newer claim has replaced. Its machine lost that key with its memory
    /// when it booted again, so two live systems speak for one machine: raises an alarm, once per
    /// certificate.
    pub async fn superseded_certificate(&self, serial: &str, peer: Option<IpAddr>) -> Result<(), Problem> {
        let mut change = self.core.store.begin().await?;
        let Some(id) = change.take_superseded(serial).await? else {
            return Ok(());
        };
        let peer = peer.map_or("an unknown address".to_owned(), |p| p.to_string());
        let detail = format!("A machine certificate that a newer claim had replaced was used from {peer}.");
        tracing::error!(machine = %id, detail, "ALARM: two speak for one machine");
        self.alarm(change, &id, "identity-used", detail).await
    }

    async fn alarm(
        &self,
        mut change: Change,
        id: &MachineId,
        code: &str,
        detail: String,
    ) -> Result<(), Problem> {
        let event = Event::SecurityAlarm {
            code: code.to_owned(),
            detail,
        };
        let now = self.core.clock.now();
        let advanced = advance_in(&self.core, &mut change, id, event, &Actor::Agent, now).await?;
        change.commit().await?;
        after_commit(&self.core, &advanced);
        Ok(())
    }

    /// The machine of a valid certificate. `None`: unknown or revoked.
    pub async fn machine_of_certificate(&self, serial: &str) -> Result<Option<MachineId>, Problem> {
        let id = self.core.store.machine_of_certificate(serial).await?;
        if let Some(id) = &id {
            let now = self.core.clock.now();
            self.core
                .memory
                .update_session(id, |session| session.last_seen = Some(now));
        }
        Ok(id)
    }
}

fn ticket_unknown() -> Problem {
    problem(
        403,
        "ticket-unknown",
        "No such ticket",
        "this server did not make that boot ticket, or has long forgotten it: boot the machine again",
    )
}

fn refused(refusal: Refusal, ticket: &TicketRow, peer: IpAddr) -> Problem {
    let id = &ticket.machine;
    let (status, title, detail) = match refusal {
        Refusal::OtherKey | Refusal::Revoked => (
            409,
            "Ticket was used",
            format!(
                "the boot ticket of machine {id} was claimed before with another key, or is no longer good"
            ),
        ),
        Refusal::Replaced => (
            409,
            "Ticket was replaced",
            format!("somebody fetched a newer boot script for machine {id} and claimed its ticket"),
        ),
        Refusal::Old => (
            403,
            "Ticket no longer good",
            "the boot ticket is too old or was replaced by a newer boot script: boot the machine again"
                .to_owned(),
        ),
        Refusal::Elsewhere => (
            403,
            "Ticket of another address",
            format!(
                "the boot ticket was handed to {} with address {}, and the claim came from {peer}: boot the machine again",
                ticket.mac, ticket.ip
            ),
        ),
    };
    problem(status, refusal.code(), title, detail)
}
