//! Asks by ARP whether anybody uses an address, before it is offered (RFC 2131, 3.1; RFC 5227).

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inventory_api::Mac;
use netboot_protocol::frame::{arp_claim, arp_probe};
use netboot_protocol::lease::OFFER_SECONDS;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::link::LinkSocket;
use crate::server::NetbootError;

/// When the questions are asked, and how long the last one waits: 250 ms in all, hidden in the 4 s that firmware
/// collects offers. On one link an answer takes a millisecond.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(150)];
/// An address that nobody answered for is taken for free as long as its offer holds.
const CLEAN: Duration = Duration::from_secs(OFFER_SECONDS);
/// Answers remembered.
const MOST: usize = 4096;

/// ARP on one interface.
pub(crate) struct Prober {
    socket: LinkSocket,
    waiting: Mutex<HashMap<Ipv4Addr, Vec<mpsc::Sender<Mac>>>>,
    clean: Mutex<HashMap<Ipv4Addr, Instant>>,
}

impl Prober {
    pub(crate) fn new(socket: LinkSocket) -> Prober {
        Prober {
            socket,
            waiting: Mutex::default(),
            clean: Mutex::default(),
        }
    }

    /// Who else than `client` uses an address. When the question cannot be asked, nobody.
    pub(crate) async fn user_of(&self, address: Ipv4Addr, client: Mac) -> Option<Mac> {
        let now = Instant::now();
        if lock(&self.clean)
            .get(&address)
            .is_some_and(|at| now.duration_since(*at) < CLEAN)
        {
            return None;
        }
        let (sender, mut claims) = mpsc::channel(4);
        lock(&self.waiting).entry(address).or_default().push(sender);
        let user = self.ask(address, client, &mut claims).await;
        drop(claims);
        let mut waiting = lock(&self.waiting);
        if let Some(senders) = waiting.get_mut(&address) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&address);
            }
        }
        drop(waiting);
        if user.is_none() {
            let mut clean = lock(&self.clean);
            if clean.len() >= MOST {
                clean.retain(|_, at| now.duration_since(*at) < CLEAN);
            }
            if clean.len() < MOST {
                clean.insert(address, now);
            }
        }
        user
    }

    async fn ask(&self, address: Ipv4Addr, client: Mac, claims: &mut mpsc::Receiver<Mac>) -> Option<Mac> {
        for wait in WAITS {
            let own = self.socket.mac()?;
            if let Err(error) = self.socket.send(&arp_probe(own, address)) {
                tracing::debug!(%error, %address, "cannot ask by ARP");
            }
            let other = async {
                loop {
                    match claims.recv().await {
                        Some(mac) if mac == client => {}
                        claim => return claim,
                    }
                }
            };
            if let Ok(Some(user)) = tokio::time::timeout(wait, other).await {
                return Some(user);
            }
        }
        None
    }

    /// Hands claims to who waits for them.
    pub(crate) async fn serve(self: Arc<Prober>, cancel: CancellationToken) -> Result<(), NetbootError> {
        let mut buffer = [0u8; 128];
        loop {
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                received = self.socket.receive(&mut buffer) => received,
            };
            let len = match received {
                Ok(len) => len,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive ARP");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let Some((mac, address)) = arp_claim(&buffer[..len]) else {
                continue;
            };
            for sender in lock(&self.waiting).get(&address).into_iter().flatten() {
                let _ = sender.try_send(mac);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
