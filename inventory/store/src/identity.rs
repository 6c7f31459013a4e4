//! Tickets and certificates. Of a ticket only a digest is stored.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};

use super::sql::{count, one, only};
use super::{Change, KEPT_TICKETS, Store, StoreError};

/// A boot ticket as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// The machine it was made for.
    pub machine: MachineId,
    /// The NIC that booted.
    pub mac: Mac,
    /// The address of the lease it was handed to.
    pub ip: Ipv4Addr,
    /// When it ends.
    pub expires_at: UnixMs,
    /// No longer good: dropped, or replaced by the ticket of a newer boot script.
    pub void: bool,
    /// It has raised its alarm.
    pub alarmed: bool,
    /// SHA-256 of the public key that claimed it.
    pub key_digest: Option<Vec<u8>>,
    /// Serial number of the certificate that was given for it.
    pub certificate: Option<String>,
}

/// A machine certificate as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Whose.
    pub machine: MachineId,
    /// The certificate, PEM.
    pub pem: String,
    /// No longer good.
    pub revoked: bool,
}

impl Store {
    /// The machine of a certificate that is known and not revoked.
    pub async fn machine_of_certificate(&self, serial: &str) -> Result<Option<MachineId>, StoreError> {
        let sql = "SELECT machine FROM certificates WHERE serial = $1 AND revoked = 0";
        one(&self.read, sql, &[&serial], only).await
    }

    /// When the newest machine certificate was made.
    pub async fn newest_certificate(&self) -> Result<Option<UnixMs>, StoreError> {
        let sql = "SELECT issued_at FROM certificates ORDER BY issued_at DESC LIMIT 1";
        one(&self.read, sql, &[], only).await
    }

    /// Whether there is a ticket with this digest: asked before a write transaction is begun for a stranger.
    pub async fn has_ticket(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM tickets WHERE digest = $1";
        Ok(count(&self.read, sql, &[digest]).await? > 0)
    }
}

impl Change {
    /// Stores a ticket; older ones of the machine that nobody claimed become void.
    pub async fn add_ticket(
        &mut self,
        digest: &[u8; 32],
        ticket: &TicketRow,
        minted_at: UnixMs,
    ) -> Result<(), StoreError> {
        let machine = &ticket.machine;
        self.void_tickets(machine).await?;
        self.run(
            "INSERT INTO tickets (digest, machine, mac, ip, minted_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
            &[digest, machine, &ticket.mac, &ticket.ip, &minted_at, &ticket.expires_at],
        )
        .await?;
        self.keep_newest("tickets", machine, KEPT_TICKETS).await
    }

    /// How many tickets of a machine were made since then, as far as they are kept.
    pub async fn tickets_since(&mut self, machine: &MachineId, since: UnixMs) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM tickets WHERE machine = $1 AND minted_at > $2";
        count(self.connection(), sql, &[machine, &since]).await
    }

    /// A ticket by its digest.
    pub async fn ticket(&mut self, digest: &[u8; 32]) -> Result<Option<TicketRow>, StoreError> {
        let sql = "SELECT * FROM tickets WHERE digest = $1";
        one(self.connection(), sql, &[digest], |row| {
            Ok(TicketRow {
                machine: row.get("machine")?,
                mac: row.get("mac")?,
                ip: row.get("ip")?,
                expires_at: row.get("expires_at")?,
                void: row.get("void")?,
                alarmed: row.get("alarmed")?,
                key_digest: row.maybe("key_digest")?,
                certificate: row.maybe("certificate")?,
            })
        })
        .await
    }

    /// Whether a ticket of the same machine that was made later was claimed.
    pub async fn newer_ticket_claimed(&mut self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM tickets AS newer JOIN tickets AS this ON this.digest = $1
            WHERE newer.machine = this.machine AND newer.rowid > this.rowid AND newer.key_digest IS NOT NULL";
        Ok(count(self.connection(), sql, &[digest]).await? > 0)
    }

    /// A ticket raises its alarm once: what is sent again and again must not fill the history.
    pub async fn ticket_alarmed(&mut self, digest: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "UPDATE tickets SET alarmed = 1 WHERE digest = $1";
        self.run(sql, &[digest]).await
    }

    /// The machine of a certificate that a newer claim has replaced. True once for each certificate.
    pub async fn take_superseded(&mut self, serial: &str) -> Result<Option<MachineId>, StoreError> {
        let sql =
            "UPDATE certificates SET superseded = 0 WHERE serial = $1 AND superseded = 1 RETURNING machine";
        one(self.connection(), sql, &[&serial], only).await
    }

    /// Marks a ticket as claimed by a key, for which a certificate was given.
    pub async fn claim_ticket(
        &mut self,
        digest: &[u8; 32],
        key_digest: &[u8; 32],
        certificate: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE tickets SET key_digest = $2, certificate = $3 WHERE digest = $1";
        self.run(sql, &[digest, key_digest, &certificate]).await
    }

    /// Stores a machine certificate. Older ones of the machine are revoked and forgotten in time.
    pub async fn add_certificate(
        &mut self,
        machine: &MachineId,
        serial: &str,
        pem: &str,
        issued_at: UnixMs,
        expires_at: UnixMs,
    ) -> Result<(), StoreError> {
        let older = "UPDATE certificates SET revoked = 1, superseded = 1 WHERE machine = $1 AND revoked = 0";
        self.run(older, &[machine]).await?;
        let sql = "INSERT INTO certificates (serial, machine, issued_at, expires_at, pem) VALUES ($1, $2, $3, $4, $5)";
        self.run(sql, &[&serial, machine, &issued_at, &expires_at, &pem])
            .await?;
        // An unknown serial number is refused like a revoked one, so old rows need not stay.
        self.keep_newest("certificates", machine, KEPT_TICKETS).await
    }

    /// A certificate by its serial number.
    pub async fn certificate(&mut self, serial: &str) -> Result<Option<CertificateRow>, StoreError> {
        let sql = "SELECT machine, pem, revoked FROM certificates WHERE serial = $1";
        one(self.connection(), sql, &[&serial], |row| {
            Ok(CertificateRow {
                machine: row.get("machine")?,
                pem: row.get("pem")?,
                revoked: row.get("revoked")?,
            })
        })
        .await
    }

    /// Revokes all certificates of a machine.
    pub async fn revoke_certificates(&mut self, machine: &MachineId) -> Result<(), StoreError> {
        let sql = "UPDATE certificates SET revoked = 1 WHERE machine = $1";
        self.run(sql, &[machine]).await
    }

    /// Voids the tickets of a machine that nobody claimed.
    pub async fn void_tickets(&mut self, machine: &MachineId) -> Result<(), StoreError> {
        let sql = "UPDATE tickets SET void = 1 WHERE machine = $1 AND key_digest IS NULL";
        self.run(sql, &[machine]).await
    }
}
