//! Claims, and the alarms raised when two speak for one machine.

use std::net::IpAddr;

use inventory_api::agent::{ClaimRequest, ClaimResponse};
use inventory_api::machine::Actor;
use inventory_api::{MachineId, Problem};
use lifecycle::Event;
use lifecycle::ticket::{Before, Claim, Refusal, Ruling, judge};

use crate::machines::sessions::Session;
use crate::problem::{BAD_CSR, Result, TICKET_UNKNOWN, internal, problem};
use crate::{Service, Turn, secret};
use store::{CertificateRow, TicketRow};
use tls::SigningRequest;

/// A claim of a boot ticket, and who sent it.
struct Claiming {
    claim: ClaimRequest,
    peer: IpAddr,
    csr: SigningRequest,
    /// Of the ticket.
    digest: [u8; 32],
}

impl Service {
    /// Trades a ticket for a certificate. `peer` is the address that sent the claim; `page` is the base URL
    /// of the machine pages, to which the machine's id is appended.
    pub async fn claim(
        &self,
        claim: &ClaimRequest,
        peer: IpAddr,
        page: Option<&str>,
    ) -> Result<ClaimResponse> {
        let csr = SigningRequest::from_pem(&claim.csr_pem).map_err(|e| BAD_CSR.because(e.to_string()))?;
        let digest = secret::digest(&claim.ticket);
        if !self.core.store.has_ticket(&digest).await? {
            tracing::warn!(%peer, mac = %claim.boot_mac, "a claim with an unknown ticket was refused");
            return Err(ticket_unknown());
        }
        let claiming = Claiming {
            claim: claim.clone(),
            peer,
            csr,
            digest,
        };
        let work = async move |turn| claiming.settle(turn).await;
        let (id, certificate_pem) = self.turn(&Actor::Agent, work).await?;
        Ok(ClaimResponse {
            certificate_pem,
            server_time: self.core.clock.now(),
            page_url: page.map(|base| format!("{base}/{id}")),
            machine: id,
        })
    }

    /// A certificate was shown that a newer claim has replaced. Its machine lost that key with its memory
    /// when it booted again, so two live systems speak for one machine: raises an alarm, once per
    /// certificate.
    pub async fn superseded_certificate(&self, serial: &str, peer: Option<IpAddr>) -> Result<()> {
        let serial = serial.to_owned();
        let work = async move |mut turn: Turn| {
            let Some(id) = turn.take_superseded(&serial).await? else {
                return Ok(());
            };
            let peer = peer.map_or("an unknown address".to_owned(), |p| p.to_string());
            let detail =
                format!("A machine certificate that a newer claim had replaced was used from {peer}.");
            tracing::error!(machine = %id, detail, "ALARM: two speak for one machine");
            alarm(turn, &id, "identity-used", detail).await
        };
        self.turn(&Actor::Agent, work).await
    }

    /// The machine of a valid certificate. `None`: unknown or revoked.
    pub async fn machine_of_certificate(&self, serial: &str) -> Result<Option<MachineId>> {
        let id = self.core.store.machine_of_certificate(serial).await?;
        if let Some(id) = &id {
            let now = self.core.clock.now();
            let heard = |session: &mut Session| session.last_seen = Some(now);
            self.core.memory.sessions.update(id, heard);
        }
        Ok(id)
    }
}

impl Claiming {
    /// Issues the certificate, or refuses the claim. Returns the machine and its certificate.
    async fn settle(self, turn: Turn) -> Result<(MachineId, String)> {
        let ticket = turn.ticket(&self.digest).await?.ok_or_else(ticket_unknown)?;
        let (ruling, issued) = self.judge(&turn, &ticket).await?;
        match ruling {
            Ruling::Issue => self.issue(turn, ticket.machine).await,
            Ruling::Repeat => Ok((ticket.machine, issued.map(|c| c.pem).unwrap_or_default())),
            Ruling::Refuse(refusal) => {
                tracing::warn!(machine = %ticket.machine, peer = %self.peer, lease = %ticket.ip,
                    mac = %self.claim.boot_mac, code = refusal.code(), "a claim was refused");
                if refusal.is_alarm() {
                    self.raise_alarm(turn, &ticket, refusal).await?;
                }
                Err(refused(refusal, &ticket, self.peer))
            }
        }
    }

    /// What to do with the claim, and the certificate that its key already got.
    async fn judge(&self, turn: &Turn, ticket: &TicketRow) -> Result<(Ruling, Option<CertificateRow>)> {
        let mut issued = None;
        let before = match &ticket.key_digest {
            Some(claimed) if *claimed != self.csr.key_digest() => Some(Before::OtherKey),
            Some(_) => {
                let serial = ticket.certificate.as_deref().unwrap_or_default();
                issued = turn.certificate(serial).await?.filter(|c| !c.revoked);
                Some(Before::SameKey {
                    certificate_good: issued.is_some(),
                })
            }
            None => None,
        };
        let simulated = turn.core.config.boot.simulated && self.peer.is_loopback();
        let from_there = simulated || IpAddr::V4(ticket.ip) == self.peer;
        let facts = Claim {
            before,
            void: ticket.void,
            expired: turn.now >= ticket.expires_at,
            from_holder: from_there && ticket.mac == self.claim.boot_mac,
            newer_claimed: ticket.void && turn.newer_ticket_claimed(&self.digest).await?,
        };
        Ok((judge(facts), issued))
    }

    async fn issue(self, mut turn: Turn, id: MachineId) -> Result<(MachineId, String)> {
        let now = turn.now;
        turn.advance(&id, Event::Claimed).await?;
        let signed = turn.core.authority.sign_machine(&self.csr, &id, now);
        let issued = signed.map_err(|e| internal(&e))?;
        turn.add_certificate(&id, &issued.serial, &issued.pem, now, issued.expires)
            .await?;
        turn.claim_ticket(&self.digest, &self.csr.key_digest(), &issued.serial)
            .await?;
        turn.revoke_folded(&id).await?;
        turn.put_last_seen(&id, now).await?;
        let machine = id.clone();
        turn.then(move |core| {
            core.memory.sessions.update(&machine, |session| {
                session.runs_on = None;
                session.progress = None;
                session.last_seen = Some(now);
            });
        });
        turn.commit().await?;
        let version: String = self.claim.agent_version.chars().take(40).collect();
        tracing::info!(machine = %id, peer = %self.peer, version = ?version, "an agent claimed its ticket");
        Ok((id, issued.pem))
    }

    /// Somebody else holds a ticket of this machine: raises an alarm, once per ticket. The state decides what
    /// follows.
    async fn raise_alarm(&self, mut turn: Turn, ticket: &TicketRow, refusal: Refusal) -> Result<()> {
        let (mac, ip, peer) = (ticket.mac, ticket.ip, self.peer);
        let detail = match refusal {
            Refusal::Replaced => format!(
                "{mac} ({ip}) claimed its boot ticket after somebody had fetched a newer one in its place and claimed that."
            ),
            Refusal::OtherKey | Refusal::Revoked | Refusal::Old | Refusal::Elsewhere => format!(
                "A boot ticket that was handed to {mac} ({ip}) was claimed a second time, with another key, from {peer}."
            ),
        };
        tracing::error!(machine = %ticket.machine, detail, "ALARM: two clients hold this machine's boot ticket");
        if ticket.alarmed {
            return Ok(());
        }
        turn.ticket_alarmed(&self.digest).await?;
        alarm(turn, &ticket.machine, refusal.code(), detail).await
    }
}

async fn alarm(mut turn: Turn, id: &MachineId, code: &str, detail: String) -> Result<()> {
    let event = Event::SecurityAlarm {
        code: code.to_owned(),
        detail,
    };
    turn.advance(id, event).await?;
    Ok(turn.commit().await?)
}

fn ticket_unknown() -> Problem {
    TICKET_UNKNOWN.because(
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
