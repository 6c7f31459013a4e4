//! Which DHCP messages are worked on: rates by sender, and limits on messages in work and on those waiting
//! for a probe. Known machines and lease holders have permits of their own, so made-up MACs cannot lock them
//! out.

use std::net::IpAddr;
use std::sync::Arc;

use inventory_api::Mac;
use netboot_protocol::shares::Standing;
use netboot_protocol::{Rates, Unanswered};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::now;

/// Messages in work at once: strangers, lease holders, known machines. More are dropped, and the machines ask
/// again.
const WORKING: [usize; 3] = [1024, 512, 512];
/// Messages waiting for a probe result: a few kB each, for some hundred ms.
const WAITING: [usize; 3] = [16_384, 2048, 2048];

/// Admission control of one service.
#[derive(Default)]
pub(super) struct Admission {
    limits: WorkLimits,
    rates: Rates,
    /// The MAC whose dropped message was recorded last, and in which second.
    recorded: Option<(Mac, i64)>,
}

impl Admission {
    /// A permit to work on a message. `circuit`: the relay and the port on it that the message came through.
    ///
    /// # Errors
    /// [`Unanswered::TooMany`] or [`Unanswered::Busy`].
    pub(super) fn admit(
        &mut self,
        mac: Mac,
        standing: Standing,
        circuit: Option<(IpAddr, &Vec<u8>)>,
    ) -> Result<WorkPermit, Unanswered> {
        let known = standing == Standing::Known;
        if !self.rates.admit(mac, known, circuit, now()) {
            return Err(Unanswered::TooMany);
        }
        self.limits.permit(standing).ok_or(Unanswered::Busy)
    }

    /// Whether to record a dropped message in its machine's journey: at most one a second, so that a flood
    /// cannot fill it.
    pub(super) fn should_record(&mut self, mac: Mac) -> bool {
        let this = Some((mac, now().0 / 1000));
        std::mem::replace(&mut self.recorded, this) != this
    }
}

/// The permits of one service.
struct WorkLimits {
    working: [Arc<Semaphore>; 3],
    waiting: [Arc<Semaphore>; 3],
}

/// The permit to work on a message.
pub(super) struct WorkPermit {
    working: Option<OwnedSemaphorePermit>,
    waiting: Arc<Semaphore>,
}

impl Default for WorkLimits {
    fn default() -> WorkLimits {
        let semaphores = |sizes: [usize; 3]| sizes.map(|size| Arc::new(Semaphore::new(size)));
        WorkLimits {
            working: semaphores(WORKING),
            waiting: semaphores(WAITING),
        }
    }
}

impl WorkLimits {
    /// A permit for one more message; `None`: all of this standing are in use.
    fn permit(&self, standing: Standing) -> Option<WorkPermit> {
        let which = standing as usize;
        let working = self.working[which].clone().try_acquire_owned().ok()?;
        Some(WorkPermit {
            working: Some(working),
            waiting: self.waiting[which].clone(),
        })
    }
}

impl WorkPermit {
    /// Exchanges the work permit for a waiting permit, held until the result is dropped; `None`: those are
    /// all in use too. The rest of the work, encoding and sending one answer, is not counted.
    pub(super) fn wait(&mut self) -> Option<OwnedSemaphorePermit> {
        self.working = None;
        self.waiting.clone().try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_permits_for_others_and_waiting_takes_none() {
        let limits = WorkLimits::default();
        let flood: Vec<_> = (0..10_000)
            .filter_map(|_| limits.permit(Standing::Stranger))
            .collect();
        assert_eq!(flood.len(), WORKING[0]);
        assert!(limits.permit(Standing::Lease).is_some() && limits.permit(Standing::Known).is_some());
        drop(flood);
        let mut waiting = Vec::new();
        for n in 0..20_000 {
            let mut working = limits.permit(Standing::Stranger).expect("nobody works");
            match working.wait() {
                Some(wait) => waiting.push((working, wait)),
                None => assert!(n >= WAITING[0]),
            }
        }
        assert_eq!(waiting.len(), WAITING[0]);
        let mut known = limits.permit(Standing::Known).expect("room");
        assert!(known.wait().is_some());
    }
}
