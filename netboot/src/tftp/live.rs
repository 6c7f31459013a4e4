//! The running transfers, by the client's address and port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netboot_protocol::tftp::{Repeat, repeated};
use tokio::sync::mpsc;

use crate::leases::lock;

/// ACKs have 4 bytes; an ERROR's text may be cut.
pub(super) const REPLY: usize = 512;
/// Datagrams queued for a transfer without its own port; more than the ACKs of a window.
const WAITING: usize = 64;

/// What the receiving task can see of a transfer.
pub(super) struct Heard {
    begun: Instant,
    answered: AtomicBool,
    oack: AtomicBool,
    /// Milliseconds since `begun`.
    last: AtomicU64,
}

impl Heard {
    /// The client has sent something.
    pub(super) fn now(&self, answered: bool) {
        self.last.store(self.ms(), Ordering::Relaxed);
        if answered {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// The transfer began with an OACK.
    pub(super) fn offers_options(&self) {
        self.oack.store(true, Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.ms().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

struct Known {
    request: Box<[u8]>,
    asked: u32,
    heard: Arc<Heard>,
    /// Tells the transfer what a repeated request means.
    repeats: mpsc::Sender<Repeat>,
    /// For a transfer without a port of its own.
    inbox: Option<SyncSender<Box<[u8]>>>,
}

#[derive(Clone, Default)]
pub(super) struct Live(Arc<Mutex<HashMap<SocketAddr, Known>>>);

/// A transfer's entry in the table, removed on drop.
pub(super) struct Entry {
    live: Live,
    client: SocketAddr,
    pub(super) heard: Arc<Heard>,
    pub(super) repeats: mpsc::Receiver<Repeat>,
    /// What the client sends to the server's port, for a transfer that stays on it.
    pub(super) inbox: Option<Receiver<Box<[u8]>>>,
}

impl Live {
    /// Decides what a request means if `client` already has a transfer. `one_port`: a new one stays on the
    /// server's port. `None`: the request belongs to a running transfer, which has been told.
    pub(super) fn admit(&self, client: SocketAddr, request: &[u8], one_port: bool) -> Option<Entry> {
        let mut table = lock(&self.0);
        if let Some(known) = table.get_mut(&client) {
            let same = *known.request == *request;
            known.asked += u32::from(same);
            let heard = &known.heard;
            let (answered, oack) = (
                heard.answered.load(Ordering::Relaxed),
                heard.oack.load(Ordering::Relaxed),
            );
            let decided = repeated(same, answered, oack, known.asked, heard.idle());
            if decided == Repeat::Ignore {
                return None;
            }
            // Full: the transfer has not read earlier ones yet.
            let _ = known.repeats.try_send(decided);
            if decided != Repeat::Replace {
                heard.now(false);
                return None;
            }
        }
        let (repeats, told) = mpsc::channel(4);
        let (inbox, arrives) = one_port.then(|| sync_channel(WAITING)).unzip();
        let heard = Arc::new(Heard {
            begun: Instant::now(),
            answered: AtomicBool::new(false),
            oack: AtomicBool::new(false),
            last: AtomicU64::new(0),
        });
        table.insert(
            client,
            Known {
                request: request.into(),
                asked: 1,
                heard: heard.clone(),
                repeats,
                inbox,
            },
        );
        Some(Entry {
            live: self.clone(),
            client,
            heard,
            repeats: told,
            inbox: arrives,
        })
    }

    /// Passes a datagram to this client's transfer on the server's port, if there is one.
    pub(super) fn deliver(&self, client: SocketAddr, datagram: &[u8]) {
        let table = lock(&self.0);
        if let Some(inbox) = table.get(&client).and_then(|known| known.inbox.as_ref()) {
            // Full: lost, as in a socket's buffer.
            let _ = inbox.try_send(datagram[..datagram.len().min(REPLY)].into());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = lock(&self.live.0);
        // Another transfer may have replaced this one.
        let known = table.get(&self.client);
        if known.is_some_and(|known| Arc::ptr_eq(&known.heard, &self.heard)) {
            table.remove(&self.client);
        }
    }
}
