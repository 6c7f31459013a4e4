//! Tickets and certificates. Of a ticket only a digest is stored.

use std::net::Ipv4Addr;

use inventory_api::{Mac, MachineId, UnixMs};
use sqlx::Row as _;

use super::{Change, KEPT_TICKETS, Store, StoreError, parse};

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
        let id: Option<String> =
            sqlx::query_scalar("SELECT machine FROM certificates WHERE serial = $1 AND revoked = 0")
                .bind(serial)
                .fetch_optional(&self.read)
                .await?;
        id.map(|id| parse("machine id", &id)).transpose()
    }

    /// When the newest machine certificate was made.
    pub async fn newest_certificate(&self) -> Result<Option<UnixMs>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT max(issued_at) FROM certificates")
            .fetch_one(&self.read)
            .await?;
        Ok(at.map(UnixMs))
    }

    /// Whether there is a ticket with this digest: asked before a write transaction is begun for a stranger.
    pub async fn has_ticket(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT count(*) FROM tickets WHERE digest = $1")
                .bind(digest.as_slice())
                .fetch_one(&self.read)
                .await
                .map(|count: i64| count > 0)?,
        )
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
        let machine = ticket.machine.as_str();
        sqlx::query("UPDATE tickets SET void = 1 WHERE machine = $1 AND key_digest IS NULL")
            .bind(machine)
            .execute(self.connection())
            .await?;
        sqlx::query(
            "INSERT INTO tickets (digest, machine, mac, ip, minted_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(digest.as_slice())
        .bind(machine)
        .bind(ticket.mac.to_string())
        .bind(ticket.ip.to_string())
        .bind(minted_at.0)
        .bind(ticket.expires_at.0)
        .execute(self.connection())
        .await?;
        sqlx::query(
            "DELETE FROM tickets WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM tickets WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
        )
        .bind(machine)
        .bind(KEPT_TICKETS)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// How many tickets of a machine were made since then, as far as they are kept.
    pub async fn tickets_since(&mut self, machine: &MachineId, since: UnixMs) -> Result<i64, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT count(*) FROM tickets WHERE machine = $1 AND minted_at > $2")
                .bind(machine.as_str())
                .bind(since.0)
                .fetch_one(self.connection())
                .await?,
        )
    }

    /// A ticket by its digest.
    pub async fn ticket(&mut self, digest: &[u8; 32]) -> Result<Option<TicketRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM tickets WHERE digest = $1")
            .bind(digest.as_slice())
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| {
            Ok(TicketRow {
                machine: parse("machine id", row.try_get("machine")?)?,
                mac: parse("MAC", row.try_get("mac")?)?,
                ip: parse("address", row.try_get("ip")?)?,
                expires_at: UnixMs(row.try_get("expires_at")?),
                void: row.try_get::<i64, _>("void")? != 0,
                alarmed: row.try_get::<i64, _>("alarmed")? != 0,
                key_digest: row.try_get("key_digest")?,
                certificate: row.try_get("certificate")?,
            })
        })
        .transpose()
    }

    /// Whether a ticket of the same machine that was made later was claimed.
    pub async fn newer_ticket_claimed(&mut self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let claimed: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM tickets AS newer JOIN tickets AS this ON this.digest = $1
                WHERE newer.machine = this.machine AND newer.rowid > this.rowid AND newer.key_digest IS NOT NULL",
        )
        .bind(digest.as_slice())
        .fetch_one(self.connection())
        .await?;
        Ok(claimed > 0)
    }

    /// A ticket raises its alarm once: what is sent again and again must not fill the history.
    pub async fn ticket_alarmed(&mut self, digest: &[u8; 32]) -> Result<(), StoreError> {
        sqlx::query("UPDATE tickets SET alarmed = 1 WHERE digest = $1")
            .bind(digest.as_slice())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The machine of a certificate that a newer claim has replaced. True once for each certificate.
    pub async fn take_superseded(&mut self, serial: &str) -> Result<Option<MachineId>, StoreError> {
        let id: Option<String> = sqlx::query_scalar(
            "UPDATE certificates SET superseded = 0 WHERE serial = $1 AND superseded = 1 RETURNING machine",
        )
        .bind(serial)
        .fetch_optional(self.connection())
        .await?;
        id.map(|id| parse("machine id", &id)).transpose()
    }

    /// Marks a ticket as claimed by a key, for which a certificate was given.
    pub async fn claim_ticket(
        &mut self,
        digest: &[u8; 32],
        key_digest: &[u8; 32],
        certificate: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE tickets SET key_digest = $2, certificate = $3 WHERE digest = $1")
            .bind(digest.as_slice())
            .bind(key_digest.as_slice())
            .bind(certificate)
            .execute(self.connection())
            .await?;
        Ok(())
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
        sqlx::query("UPDATE certificates SET revoked = 1, superseded = 1 WHERE machine = $1 AND revoked = 0")
            .bind(machine.as_str())
            .execute(self.connection())
            .await?;
        sqlx::query(
            "INSERT INTO certificates (serial, machine, issued_at, expires_at, pem) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(serial)
        .bind(machine.as_str())
        .bind(issued_at.0)
        .bind(expires_at.0)
        .bind(pem)
        .execute(self.connection())
        .await?;
        // An unknown serial number is refused like a revoked one, so old rows need not stay.
        sqlx::query(
            "DELETE FROM certificates WHERE machine = $1 AND rowid NOT IN
                (SELECT rowid FROM certificates WHERE machine = $1 ORDER BY rowid DESC LIMIT $2)",
        )
        .bind(machine.as_str())
        .bind(KEPT_TICKETS)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A certificate by its serial number.
    pub async fn certificate(&mut self, serial: &str) -> Result<Option<CertificateRow>, StoreError> {
        let row = sqlx::query("SELECT machine, pem, revoked FROM certificates WHERE serial = $1")
            .bind(serial)
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| {
            Ok(CertificateRow {
                machine: parse("machine id", row.try_get("machine")?)?,
                pem: row.try_get("pem")?,
                revoked: row.try_get::<i64, _>("revoked")? != 0,
            })
        })
        .transpose()
    }

    /// Revokes all certificates of a machine.
    pub async fn revoke_certificates(&mut self, machine: &MachineId) -> Result<(), StoreError> {
        sqlx::query("UPDATE certificates SET revoked = 1 WHERE machine = $1")
            .bind(machine.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Voids the tickets of a machine that nobody claimed.
    pub async fn void_tickets(&mut self, machine: &MachineId) -> Result<(), StoreError> {
        sqlx::query("UPDATE tickets SET void = 1 WHERE machine = $1 AND key_digest IS NULL")
            .bind(machine.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
