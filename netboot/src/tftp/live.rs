//! The running transfers, by the client's address and port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use netboot_protocol::tftp::{Repeat, repeated};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// ACKs have 4 bytes; an ERROR's text may be cut.
pub(super) const REPLY: usize = 512;
/// Datagrams queued for a transfer without its own port; more than the ACKs of a window.
const WAITING: usize = 64;

/// What the receiving task can see of a transfer.
pub(super) struct Activity(Mutex<Heard>);

#[derive(Clone, Copy)]
struct Heard {
    answered: bool,
    oack: bool,
    last: Instant,
}

impl Activity {
    /// The client has sent something.
    pub(super) fn now(&self, answered: bool) {
        let mut heard = self.0.lock();
        heard.last = Instant::now();
        heard.answered |= answered;
    }

    /// The transfer began with an OACK.
    pub(super) fn offers_options(&self) {
        self.0.lock().oack = true;
    }
}

struct Running {
    request: Box<[u8]>,
    asked: u32,
    activity: Arc<Activity>,
    /// Tells the transfer what a repeated request means.
    repeats: mpsc::Sender<Repeat>,
    /// For a transfer without a port of its own.
    inbox: Option<SyncSender<Box<[u8]>>>,
}

#[derive(Clone, Default)]
pub(super) struct Live(Arc<Mutex<HashMap<SocketAddr, Running>>>);

/// A transfer's entry in the table, removed on drop.
pub(super) struct Entry {
    live: Live,
    client: SocketAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) repeats: mpsc::Receiver<Repeat>,
    /// What the client sends to the server's port, for a transfer that stays on it.
    pub(super) inbox: Option<Receiver<Box<[u8]>>>,
}

impl Live {
    /// Decides what a request means if `client` already has a transfer. `one_port`: a new one stays on the
    /// server's port. `None`: the request belongs to a running transfer, which has been told.
    pub(super) fn admit(&self, client: SocketAddr, request: &[u8], one_port: bool) -> Option<Entry> {
        let mut table = self.0.lock();
        if let Some(running) = table.get_mut(&client) {
            let same = *running.request == *request;
            running.asked += u32::from(same);
            let activity = &running.activity;
            let Heard { answered, oack, last } = *activity.0.lock();
            let decided = repeated(same, answered, oack, running.asked, last.elapsed());
            if decided == Repeat::Ignore {
                return None;
            }
            // Full: the transfer has not read earlier ones yet.
            let _ = running.repeats.try_send(decided);
            if decided != Repeat::Replace {
                activity.now(false);
                return None;
            }
        }
        let (repeats, told) = mpsc::channel(4);
        let (inbox, arrives) = one_port.then(|| sync_channel(WAITING)).unzip();
        let activity = Arc::new(Activity(Mutex::new(Heard {
            answered: false,
            oack: false,
            last: Instant::now(),
        })));
        table.insert(
            client,
            Running {
                request: request.into(),
                asked: 1,
                activity: activity.clone(),
                repeats,
                inbox,
            },
        );
        Some(Entry {
            live: self.clone(),
            client,
            activity,
            repeats: told,
            inbox: arrives,
        })
    }

    /// Passes a datagram to this client's transfer on the server's port, if there is one.
    pub(super) fn deliver(&self, client: SocketAddr, datagram: &[u8]) {
        let table = self.0.lock();
        if let Some(inbox) = table.get(&client).and_then(|running| running.inbox.as_ref()) {
            // Full: lost, as in a socket's buffer.
            let _ = inbox.try_send(datagram[..datagram.len().min(REPLY)].into());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut table = self.live.0.lock();
        // Another transfer may have replaced this one.
        let running = table.get(&self.client);
        if running.is_some_and(|running| Arc::ptr_eq(&running.activity, &self.activity)) {
            table.remove(&self.client);
        }
    }
}
