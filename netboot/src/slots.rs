//! Slots for open connections and transfers; [`netboot_protocol::shares`] decides who gets one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use netboot_protocol::shares::Shares;
pub use netboot_protocol::shares::{Full, Limits, Standing};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The slots of one service. Boot HTTP, TFTP and the TLS port each have their own.
#[derive(Clone)]
pub struct Slots(Arc<Mutex<State>>);

struct State {
    begun: Instant,
    shares: Shares,
    ends: HashMap<u64, CancellationToken>,
}

impl State {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One connection's slot; given back when dropped.
pub struct Slot {
    slots: Slots,
    number: u64,
    end: CancellationToken,
}

impl Slots {
    /// All slots free.
    pub fn new(limits: Limits) -> Slots {
        Slots(Arc::new(Mutex::new(State {
            begun: Instant::now(),
            shares: Shares::new(limits),
            ends: HashMap::new(),
        })))
    }

    /// Takes a slot for one more connection of `address`. This may revoke another one, see
    /// [`Slot::revoked`].
    ///
    /// # Errors
    /// No slot is free for this address or this standing.
    pub fn take(&self, address: IpAddr, standing: Standing) -> Result<Slot, Full> {
        let mut state = self.0.lock();
        let now = state.now();
        let entered = state.shares.take(address, standing, now)?;
        if let Some(end) = entered.instead_of.and_then(|other| state.ends.remove(&other)) {
            end.cancel();
        }
        let end = CancellationToken::new();
        state.ends.insert(entered.slot, end.clone());
        Ok(Slot {
            slots: self.clone(),
            number: entered.slot,
            end,
        })
    }
}

impl Slot {
    /// Progress: a request arrived whole, or the peer took bytes. The connection idle for longest is evicted
    /// first.
    pub fn touch(&self) {
        let mut state = self.slots.0.lock();
        let now = state.now();
        state.shares.touch(self.number, now);
    }

    /// The peer has proved more: a lease, a certificate, a session.
    pub fn raise(&self, standing: Standing) {
        self.slots.0.lock().shares.raise(self.number, standing);
    }

    /// Completes when the slot is revoked: the connection must be closed.
    pub async fn revoked(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.0.lock();
        state.shares.release(self.number);
        state.ends.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_revoked_slot_is_told_and_nothing_stays_behind() {
        let limits = Limits {
            slots: 4,
            per_address: 3,
        };
        let slots = Slots::new(limits);
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let strangers: Vec<Slot> = (0..2)
            .filter_map(|_| slots.take(address(1), Standing::Stranger).ok())
            .collect();
        let leases: Vec<Slot> = (2..4)
            .filter_map(|n| slots.take(address(n), Standing::Lease).ok())
            .collect();
        let more = slots.take(address(4), Standing::Lease);
        assert!(more.is_ok() && leases.iter().all(|slot| !slot.end.is_cancelled()));
        strangers[0].revoked().await;
        drop((strangers, leases, more));
        let state = slots.0.lock();
        assert!(state.shares.is_empty() && state.ends.is_empty());
    }
}
