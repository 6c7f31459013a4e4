//! Runs one transfer: the state machine between its socket and the clock, on its own thread.
//!
//! With one block at a time each packet is a wake-up. Blocking in `recv` takes one system call less per
//! packet than waiting for readiness, and the kernel's scheduler spreads threads over the cores.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot_protocol::tftp::{
    Accepted, ErrorCode, Outcome, Packet, Repeat, Send, Step, Transfer, negotiate, packet, parse,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::channel::{Batches, Channel, either};
use super::live::{Activity, Entry, REPLY};
use crate::content::{Content, Reader};
use crate::running::Meter;

/// How soon a transfer notices a message from the receiving task.
const NOTICE: Duration = Duration::from_millis(50);
/// Stack size in bytes; most of it is never touched.
const STACK: usize = 256 << 10;

/// How a transfer ended, the bytes acknowledged, and the block size; an error: no socket could be opened, or
/// the file could not be read.
pub(super) type Ended = io::Result<(Outcome, u64, u16)>;

/// What a transfer needs to start.
pub(super) struct Job {
    /// The read request.
    pub(super) datagram: Vec<u8>,
    pub(super) file: Content,
    /// Our address that was asked.
    pub(super) local: IpAddr,
    pub(super) client: SocketAddr,
    /// The server's socket, if the transfer stays on it.
    pub(super) shared: Option<Arc<UdpSocket>>,
    /// Largest block the network allows.
    pub(super) most: Option<u16>,
    pub(super) batches: Batches,
    pub(super) entry: Entry,
    pub(super) meter: Arc<Meter>,
}

impl Job {
    /// Starts the thread. Dropping the receiver ends the transfer.
    pub(super) fn start(self) -> io::Result<oneshot::Receiver<Ended>> {
        let (done, ended) = oneshot::channel();
        let builder = std::thread::Builder::new()
            .name("tftp".to_owned())
            .stack_size(STACK);
        builder.spawn(move || {
            let mut job = self;
            let result = job.serve(&done);
            // Leave the table of transfers before anybody hears of the end.
            drop(job);
            let _ = done.send(result);
        })?;
        Ok(ended)
    }

    fn open(&self) -> io::Result<Channel> {
        Channel::open(self.local, self.client, &self.batches)
    }

    fn serve(&mut self, done: &oneshot::Sender<Ended>) -> Ended {
        let Ok(Packet::Read(request)) = parse(&self.datagram) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let channel = match (self.shared.take(), self.entry.inbox.take()) {
            (Some(shared), Some(inbox)) => {
                Channel::shared(shared, inbox, self.local, self.client, &self.batches)
            }
            _ => self.open()?,
        };
        let limits = channel.limits().at_most(self.most);
        let accepted = negotiate(&request, self.file.len(), limits);
        if accepted.oack.is_some() {
            self.entry.activity.offers_options();
        }
        let block = accepted.block;
        let mut line = Line::new(channel, &self.file, accepted);
        let mut ended = line.begin();
        if ended.is_none() {
            ended = self.open_up(&mut line, done)?;
        }
        while ended.is_none() {
            self.meter.set(line.transfer.acknowledged_bytes());
            ended = match self.signal(done) {
                Some(Repeat::Replace) => Some(Outcome::Superseded),
                _ => match line.tick().1 {
                    Some(outcome) => Some(outcome),
                    None => line.hear(&self.entry.activity),
                },
            };
        }
        if let Some(unreadable) = line.unreadable {
            return Err(unreadable);
        }
        let outcome = ended.unwrap_or(Outcome::Silent);
        Ok((outcome, line.transfer.acknowledged_bytes(), block))
    }

    /// Runs until the client has answered: on this line or, if it does not take the OACK, on a second one
    /// without options, which then replaces it. (A transfer on the server's port starts over there.)
    fn open_up(&mut self, line: &mut Line, done: &oneshot::Sender<Ended>) -> io::Result<Option<Outcome>> {
        let mut plain: Option<Line> = None;
        let mut wants_plain = false;
        while !line.transfer.is_answered() {
            let ended = match self.signal(done) {
                Some(Repeat::Replace) => return Ok(Some(Outcome::Superseded)),
                Some(Repeat::Resend) => {
                    let step = line.transfer.asked_again(line.now());
                    line.take(step)
                }
                Some(Repeat::WithoutOptions) => {
                    line.transfer.be_quiet();
                    wants_plain = true;
                    None
                }
                Some(Repeat::Ignore) | None => {
                    let has = match &plain {
                        None => [true, false],
                        Some(plain) => {
                            either(&line.channel, &plain.channel, line.pause().min(plain.pause()))?
                        }
                    };
                    if let Some(mut other) = plain.take() {
                        let other_ended = if has[1] {
                            other.hear(&self.entry.activity)
                        } else {
                            other.tick().1
                        };
                        if other.transfer.is_answered() {
                            *line = other;
                            return Ok(other_ended);
                        }
                        match other_ended {
                            // Refused: the client has taken the OACK meanwhile, or is gone.
                            Some(Outcome::Refused(_)) => {}
                            Some(outcome) => {
                                *line = other;
                                return Ok(Some(outcome));
                            }
                            None => plain = Some(other),
                        }
                    }
                    let heard = if has[0] {
                        line.hear(&self.entry.activity)
                    } else {
                        None
                    };
                    let (wanted, ended) = if heard.is_none() {
                        line.tick()
                    } else {
                        (false, heard)
                    };
                    wants_plain |= wanted;
                    ended
                }
            };
            if ended.is_some() {
                return Ok(ended);
            }
            if wants_plain && line.channel.is_shared() {
                wants_plain = false;
                // Without options, on the same port. A packet that cannot be sent is as good as lost.
                line.transfer = transfer(&line.channel, &self.file, &Accepted::none());
                line.begun = Instant::now();
                let _ = line.begin();
            }
            if std::mem::take(&mut wants_plain) && plain.is_none() {
                let mut begun = Line::new(self.open()?, &self.file, Accepted::none());
                if begun.begin().is_none() {
                    plain = Some(begun);
                }
            }
        }
        Ok(None)
    }

    fn signal(&mut self, done: &oneshot::Sender<Ended>) -> Option<Repeat> {
        match self.entry.repeats.try_recv() {
            Ok(repeat) => Some(repeat),
            Err(TryRecvError::Disconnected) => Some(Repeat::Replace),
            Err(TryRecvError::Empty) => done.is_closed().then_some(Repeat::Replace),
        }
    }
}

fn transfer(channel: &Channel, file: &Content, accepted: &Accepted) -> Transfer {
    Transfer::new(accepted, file.len()).on_one_port(channel.is_shared())
}

/// A transfer on its socket.
struct Line {
    channel: Channel,
    transfer: Transfer,
    file: Reader,
    /// Why the file cannot be read any further.
    unreadable: Option<io::Error>,
    oack: Vec<u8>,
    begun: Instant,
}

impl Line {
    fn new(channel: Channel, file: &Content, accepted: Accepted) -> Line {
        Line {
            transfer: transfer(&channel, file, &accepted),
            channel,
            file: file.reader(),
            unreadable: None,
            oack: accepted.oack.unwrap_or_default(),
            begun: Instant::now(),
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Longest wait for a datagram.
    fn pause(&self) -> Duration {
        self.transfer.deadline().saturating_sub(self.now()).min(NOTICE)
    }

    fn begin(&mut self) -> Option<Outcome> {
        let step = self.transfer.begin(self.now());
        self.take(step)
    }

    /// Waits for a datagram and acts on it.
    fn hear(&mut self, activity: &Activity) -> Option<Outcome> {
        let mut buffer = [0; REPLY];
        let step = match self.channel.receive(&mut buffer, self.pause()) {
            Ok(len) => {
                let step = self.transfer.received(&buffer[..len], self.now());
                activity.now(self.transfer.is_answered());
                step
            }
            Err(error) => self.failed(&error),
        };
        self.take(step)
    }

    /// Checks the clock; the first value: a line without options is wanted.
    fn tick(&mut self) -> (bool, Option<Outcome>) {
        match self.transfer.elapsed(self.now()) {
            Step::WithoutOptions => (true, None),
            step => (false, self.take(step)),
        }
    }

    /// Carries out a step; returns the outcome if it was the last.
    fn take(&mut self, step: Step) -> Option<Outcome> {
        let sent = match step {
            Step::Wait | Step::WithoutOptions => return None,
            Step::End(outcome) => return Some(outcome),
            Step::Send(Send::Oack) => self.channel.send(&self.oack),
            Step::Send(Send::Blocks { first, last }) => {
                match self
                    .channel
                    .send_blocks(&self.transfer, &mut self.file, first, last)
                {
                    Ok(sent) => sent,
                    Err(unreadable) => {
                        let _ = self
                            .channel
                            .send(&packet::error(ErrorCode::Other, "cannot read the file"));
                        self.unreadable = Some(unreadable);
                        return Some(Outcome::Silent);
                    }
                }
            }
        };
        match sent.map_err(|error| self.failed(&error)) {
            Err(Step::End(outcome)) => Some(outcome),
            // As good as lost on the way; it is repeated at the deadline.
            _ => None,
        }
    }

    fn failed(&mut self, error: &io::Error) -> Step {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self.transfer.unreachable(),
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Step::Wait,
            _ => {
                tracing::debug!(%error, "tftp: a packet could not be sent");
                Step::Wait
            }
        }
    }
}
