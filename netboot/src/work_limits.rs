//! Limits on DHCP messages in work, and on those waiting for a probe. Known machines and lease holders have
//! permits of their own, so made-up MACs cannot lock them out.

use std::sync::Arc;

use netboot_protocol::shares::Standing;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages in work at once: strangers, lease holders, known machines. More are dropped, and the machines ask
/// again.
const WORKING: [usize; 3] = [1024, 512, 512];
/// Messages waiting for a probe result: a few kB each, for some hundred ms.
const WAITING: [usize; 3] = [16_384, 2048, 2048];

/// The permits of one service.
pub(crate) struct WorkLimits {
    working: [Arc<Semaphore>; 3],
    waiting: [Arc<Semaphore>; 3],
}

/// The permit to work on a message.
pub(crate) struct WorkPermit {
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
    pub(crate) fn permit(&self, standing: Standing) -> Option<WorkPermit> {
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
    pub(crate) fn wait(&mut self) -> Option<OwnedSemaphorePermit> {
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
