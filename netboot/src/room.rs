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
pub(crate) struct Room {
    working: [Arc<Semaphore>; 3],
    waiting: [Arc<Semaphore>; 3],
}

/// The permit to work on a message.
pub(crate) struct Working {
    working: Option<OwnedSemaphorePermit>,
    waiting: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Room {
        let semaphores = |sizes: [usize; 3]| sizes.map(|size| Arc::new(Semaphore::new(size)));
        Room {
            working: semaphores(WORKING),
            waiting: semaphores(WAITING),
        }
    }
}

impl Room {
    /// A permit for one more message; `None`: all of this standing are in use.
    pub(crate) fn enter(&self, standing: Standing) -> Option<Working> {
        let which = standing as usize;
        let working = self.working[which].clone().try_acquire_owned().ok()?;
        Some(Working {
            working: Some(working),
            waiting: self.waiting[which].clone(),
        })
    }
}

impl Working {
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
    fn strangers_leave_room_for_the_others_and_who_waits_takes_none() {
        let room = Room::default();
        let flood: Vec<_> = (0..10_000)
            .filter_map(|_| room.enter(Standing::Stranger))
            .collect();
        assert_eq!(flood.len(), WORKING[0]);
        assert!(room.enter(Standing::Lease).is_some() && room.enter(Standing::Known).is_some());
        drop(flood);
        let mut waiting = Vec::new();
        for n in 0..20_000 {
            let mut working = room.enter(Standing::Stranger).expect("nobody works");
            match working.wait() {
                Some(wait) => waiting.push((working, wait)),
                None => assert!(n >= WAITING[0]),
            }
        }
        assert_eq!(waiting.len(), WAITING[0]);
        let mut known = room.enter(Standing::Known).expect("room");
        assert!(known.wait().is_some());
    }
}
