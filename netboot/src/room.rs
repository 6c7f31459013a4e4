//! How many DHCP messages are worked on at once, and how many wait for an answer of the network meanwhile. Known machines and
//! holders of leases have room of their own: made-up MACs do not keep them out.

use std::sync::Arc;

use netboot_protocol::shares::Standing;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages that are worked on at once, of strangers, holders of leases, and known machines; more are dropped, and the machines
/// ask again.
const WORKING: [usize; 3] = [1024, 512, 512];
/// Messages that wait until it is known who uses an address: some kB each, for some hundred ms.
const WAITING: [usize; 3] = [16_384, 2048, 2048];

/// The room of one service.
pub(crate) struct Room {
    working: [Arc<Semaphore>; 3],
    waiting: [Arc<Semaphore>; 3],
}

/// The right to work on a message.
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
    /// Room for one more message; `None`: there is none for this standing.
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
    /// Gives the room for work back and waits in other room, until what is given back is dropped; `None`: that is full too.
    /// What is left to do afterwards, encoding and sending one answer, is not counted.
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
