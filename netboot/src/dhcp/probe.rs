//! Checks that an address is unused before it is offered (RFC 2131, 3.1): by ARP (RFC 5227), or by ICMP echo
//! where ARP does not reach.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::Mac;
use netboot_protocol::OFFER_SECONDS;
use netboot_protocol::frame::{arp_claim, arp_probe, echo_reply, echo_request};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::NetbootError;
use crate::link::LinkSocket;
use crate::socket::RawSocket;

/// When to ask, and how long to wait after the last question: 250 ms in all, hidden in the 4 s for which
/// firmware collects offers. Answers take a millisecond on one link, two hundred from another continent.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(150)];
/// Wait up to this much longer, depending on the address: when a whole hall is powered on, its offers must
/// not leave in one burst that overflows buffers on the way.
const SPREAD_MS: u32 = 32;
/// An address nobody answered for counts as free for as long as its offer holds.
const CLEAN: Duration = Duration::from_secs(OFFER_SECONDS);
/// Free addresses remembered, a quarter of the largest pool; the oldest are forgotten first and probed again.
const MOST: usize = 16_384;

/// Answers evaluated per address.
const MOST_ANSWERS: usize = 16;

/// Who uses an address: the MAC that answered ARP, or `None` for a ping reply.
pub(crate) type User = Option<Mac>;

/// One method of probing, on one socket.
pub(crate) struct Prober {
    way: Way,
    waiting: Mutex<HashMap<Ipv4Addr, Vec<mpsc::Sender<User>>>>,
    clean: Mutex<Clean>,
}

/// Addresses nobody answered for.
#[derive(Default)]
struct Clean {
    since: HashMap<Ipv4Addr, Instant>,
    oldest: VecDeque<(Instant, Ipv4Addr)>,
}

impl Clean {
    fn has(&self, address: Ipv4Addr, now: Instant) -> bool {
        let since = self.since.get(&address);
        since.is_some_and(|since| now.duration_since(*since) < CLEAN)
    }

    fn insert(&mut self, address: Ipv4Addr, now: Instant) {
        self.since.insert(address, now);
        self.oldest.push_back((now, address));
        while let Some((since, address)) = self.oldest.front().copied()
            && (self.oldest.len() > MOST || now.duration_since(since) >= CLEAN)
        {
            self.oldest.pop_front();
            if self.since.get(&address) == Some(&since) {
                self.since.remove(&address);
            }
        }
    }
}

enum Way {
    Arp(LinkSocket),
    /// ICMP echo from one of our addresses. Needs CAP_NET_RAW.
    Echo {
        socket: RawSocket,
        /// Sent in every question of this process; a host that did not hear it cannot fake answers.
        token: u32,
    },
}

impl Way {
    /// Sends one question.
    async fn ask(&self, address: Ipv4Addr) {
        let asked = match self {
            Way::Arp(socket) => match socket.mac() {
                Some(own) => socket.send(&arp_probe(own, address)),
                None => Ok(()),
            },
            Way::Echo { socket, token } => {
                let to = SocketAddrV4::new(address, 0).into();
                socket.send_to(&echo_request(*token), &to).await.map(drop)
            }
        };
        if let Err(error) = asked {
            tracing::debug!(%error, %address, "cannot probe an address");
        }
    }

    /// The next answer to a question, or what looks like one.
    async fn answer(&self) -> io::Result<Option<(User, Ipv4Addr)>> {
        let mut buffer = [0u8; 128];
        match self {
            Way::Arp(socket) => {
                let len = socket.receive(&mut buffer).await?;
                Ok(arp_claim(&buffer[..len]).map(|(mac, address)| (Some(mac), address)))
            }
            Way::Echo { socket, token } => {
                let len = socket.receive(&mut buffer).await?;
                let answer = echo_reply(&buffer[..len]).filter(|(_, theirs)| theirs == token);
                Ok(answer.map(|(address, _)| (None, address)))
            }
        }
    }
}

impl Prober {
    /// On the socket's own link.
    pub(crate) fn by_arp(socket: LinkSocket) -> Prober {
        Prober::new(Way::Arp(socket))
    }

    /// Any address, from one of ours.
    pub(crate) fn by_echo(from: Ipv4Addr) -> io::Result<Prober> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
        Ok(Prober::new(Way::Echo {
            socket: RawSocket::new(socket)?,
            token: RandomState::new().build_hasher().finish() as u32,
        }))
    }

    fn new(way: Way) -> Prober {
        Prober {
            way,
            waiting: Mutex::default(),
            clean: Mutex::default(),
        }
    }

    /// Who uses an address besides `client`; nobody if it cannot be probed.
    pub(crate) async fn user_of(&self, address: Ipv4Addr, client: Mac) -> Option<User> {
        let now = Instant::now();
        if self.clean.lock().has(address, now) {
            return None;
        }
        let other = |user: &User| *user != Some(client);
        let user = self.ask(address, other).await.into_iter().find(other);
        if user.is_none() {
            self.clean.lock().insert(address, now);
        }
        user
    }

    /// Everybody who answers for an address now.
    pub(crate) async fn users_of(&self, address: Ipv4Addr) -> Vec<User> {
        self.ask(address, |_| false).await
    }

    /// Asks until an answer is `enough`, or until the time for answers is over.
    async fn ask(&self, address: Ipv4Addr, enough: impl Fn(&User) -> bool) -> Vec<User> {
        let (sender, mut claims) = mpsc::channel(4);
        self.waiting.lock().entry(address).or_default().push(sender);
        let mut users = Vec::new();
        let spread = Duration::from_millis((u32::from(address) % SPREAD_MS).into());
        for (wait, more) in WAITS.into_iter().zip([spread, Duration::ZERO]) {
            self.way.ask(address).await;
            let until = tokio::time::Instant::now() + wait + more;
            while let Ok(Some(user)) = tokio::time::timeout_at(until, claims.recv()).await {
                users.push(user);
                if enough(&user) {
                    break;
                }
            }
            if users.last().is_some_and(&enough) || users.len() >= MOST_ANSWERS {
                break;
            }
        }
        drop(claims);
        let mut waiting = self.waiting.lock();
        if let Some(senders) = waiting.get_mut(&address) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&address);
            }
        }
        users
    }

    /// Passes answers to the probes waiting for them.
    pub(crate) async fn serve(self: Arc<Prober>, cancel: CancellationToken) -> Result<(), NetbootError> {
        loop {
            let answer = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                answer = self.way.answer() => answer,
            };
            match answer {
                Ok(Some((user, address))) => {
                    for sender in self.waiting.lock().get(&address).into_iter().flatten() {
                        let _ = sender.try_send(user);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "cannot receive probe answers");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}
