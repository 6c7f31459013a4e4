//! Boot tickets and machine certificates. Of a ticket only a digest is stored.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};

use super::sql::Col;
use super::{Change, KEPT_TICKETS, Reader, Result};

/// A boot ticket as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TicketRow {
    /// The machine.
    #[sqlx(try_from = "Col<MachineId>")]
    pub machine: MachineId,
    /// The NIC that booted.
    #[sqlx(try_from = "Col<Mac>")]
    pub mac: Mac,
    /// The leased address that the script was sent to.
    #[sqlx(try_from = "Col<Ipv4Addr>")]
    pub ip: Ipv4Addr,
    /// When it expires.
    #[sqlx(try_from = "Col<UnixMs>")]
    pub expires_at: UnixMs,
    /// No longer good: dropped, or replaced by the ticket of a newer boot script.
    pub void: bool,
    /// Its alarm was raised.
    pub alarmed: bool,
    /// SHA-256 of the public key that claimed it.
    pub key_digest: Option<Vec<u8>>,
    /// Serial number of the certificate issued for it.
    pub certificate: Option<String>,
}

/// A machine certificate as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CertificateRow {
    /// The machine.
    #[sqlx(try_from = "Col<MachineId>")]
    pub machine: MachineId,
    /// The certificate.
    pub pem: String,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Reader {
    /// The machine of a certificate that is known and not revoked.
    pub async fn machine_of_certificate(&self, serial: &str) -> Result<Option<MachineId>> {
        let sql = "SELECT machine FROM certificates WHERE serial = $1 AND revoked = 0";
        self.value(sql, &[&serial]).await
    }

    /// When the newest machine certificate was issued.
    pub async fn newest_certificate(&self) -> Result<Option<UnixMs>> {
        let sql = "SELECT issued_at FROM certificates ORDER BY issued_at DESC LIMIT 1";
        self.value(sql, &[]).await
    }

    /// Whether a ticket has this digest: asked before a write transaction begins for a stranger.
    pub async fn has_ticket(&self, digest: &[u8; 32]) -> Result<bool> {
        let sql = "SELECT count(*) FROM tickets WHERE digest = $1";
        Ok(self.count(sql, &[digest]).await? > 0)
    }

    /// How many tickets of a machine were made after `since`, as far as they are kept.
    pub async fn tickets_since(&self, machine: &MachineId, since: UnixMs) -> Result<i64> {
        let sql = "SELECT count(*) FROM tickets WHERE machine = $1 AND minted_at > $2";
        self.count(sql, &[machine, &since]).await
    }

    /// A ticket by its digest.
    pub async fn ticket(&self, digest: &[u8; 32]) -> Result<Option<TicketRow>> {
        let sql = "SELECT machine, mac, ip, expires_at, void, alarmed, key_digest, certificate FROM tickets
            WHERE digest = $1";
        self.row(sql, &[digest]).await
    }

    /// Whether a ticket of the same machine that was made later was claimed.
    pub async fn newer_ticket_claimed(&self, digest: &[u8; 32]) -> Result<bool> {
        let sql = "SELECT count(*) FROM tickets AS newer JOIN tickets AS this ON this.digest = $1
            WHERE newer.machine = this.machine AND newer.seq > this.seq AND newer.key_digest IS NOT NULL";
        Ok(self.count(sql, &[digest]).await? > 0)
    }

    /// A certificate by its serial number.
    pub async fn certificate(&self, serial: &str) -> Result<Option<CertificateRow>> {
        let sql = "SELECT machine, pem, revoked FROM certificates WHERE serial = $1";
        self.row(sql, &[&serial]).await
    }
}

impl Change {
    /// Stores a ticket; unclaimed older ones of the machine become void.
    pub async fn add_ticket(
        &mut self,
        digest: &[u8; 32],
        ticket: &TicketRow,
        minted_at: UnixMs,
    ) -> Result<()> {
        let machine = &ticket.machine;
        self.void_tickets(machine).await?;
        self.run(
            "INSERT INTO tickets (digest, machine, mac, ip, minted_at, expires_at, seq) VALUES ($1, $2, $3, $4, $5, $6,
                (SELECT coalesce(max(seq), 0) + 1 FROM tickets WHERE machine = $2))",
            &[digest, machine, &ticket.mac, &ticket.ip, &minted_at, &ticket.expires_at],
        )
        .await?;
        self.keep_newest("tickets", "seq", machine, KEPT_TICKETS).await
    }

    /// A ticket raises its alarm once: repeated requests must not fill the history.
    pub async fn ticket_alarmed(&mut self, digest: &[u8; 32]) -> Result<()> {
        let sql = "UPDATE tickets SET alarmed = 1 WHERE digest = $1";
        self.run(sql, &[digest]).await
    }

    /// The machine of a certificate that a newer claim replaced. Returned once for each certificate.
    pub async fn take_superseded(&mut self, serial: &str) -> Result<Option<MachineId>> {
        let sql =
            "UPDATE certificates SET superseded = 0 WHERE serial = $1 AND superseded = 1 RETURNING machine";
        self.value(sql, &[&serial]).await
    }

    /// Marks a ticket as claimed by a key, for which a certificate was issued.
    pub async fn claim_ticket(
        &mut self,
        digest: &[u8; 32],
        key_digest: &[u8; 32],
        certificate: &str,
    ) -> Result<()> {
        let sql = "UPDATE tickets SET key_digest = $2, certificate = $3 WHERE digest = $1";
        self.run(sql, &[digest, key_digest, &certificate]).await
    }

    /// Stores a machine certificate. Older ones of the machine are revoked, and deleted in time.
    pub async fn add_certificate(
        &mut self,
        machine: &MachineId,
        serial: &str,
        pem: &str,
        issued_at: UnixMs,
        expires_at: UnixMs,
    ) -> Result<()> {
        let older = "UPDATE certificates SET revoked = 1, superseded = 1 WHERE machine = $1 AND revoked = 0";
        self.run(older, &[machine]).await?;
        self.run(
            "INSERT INTO certificates (serial, machine, issued_at, expires_at, pem, seq) VALUES ($1, $2, $3, $4, $5,
                (SELECT coalesce(max(seq), 0) + 1 FROM certificates WHERE machine = $2))",
            &[&serial, machine, &issued_at, &expires_at, &pem],
        )
        .await?;
        // An unknown serial number is refused like a revoked one, so old rows need not stay.
        self.keep_newest("certificates", "seq", machine, KEPT_TICKETS)
            .await
    }

    /// Revokes all certificates of a machine.
    pub async fn revoke_certificates(&mut self, machine: &MachineId) -> Result<()> {
        let sql = "UPDATE certificates SET revoked = 1 WHERE machine = $1";
        self.run(sql, &[machine]).await
    }

    /// Voids the unclaimed tickets of a machine.
    pub async fn void_tickets(&mut self, machine: &MachineId) -> Result<()> {
        let sql = "UPDATE tickets SET void = 1 WHERE machine = $1 AND key_digest IS NULL";
        self.run(sql, &[machine]).await
    }
}
