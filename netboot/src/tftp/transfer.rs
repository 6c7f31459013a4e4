//! Runs one transfer: the state machine between its socket and the clock.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use netboot_protocol::tftp::{Accepted, Outcome, Request, Send, Step, Transfer, negotiate};
use tokio::time::Instant;

use super::channel::{Batches, Channel};
use super::live::{Entry, Nudge};

/// ACKs have 4 bytes; an ERROR's text may be cut.
const REPLY: usize = 512;

/// Sends `file` to the client, and gives back how that ended and the bytes that were acknowledged. `ends`: our address
/// and the client's. An error: no socket could be opened.
pub(super) async fn serve(
    request: &Request<'_>,
    file: Bytes,
    ends: (IpAddr, SocketAddr),
    batches: &Batches,
    entry: &mut Entry,
) -> io::Result<(Outcome, u64)> {
    let open = || Channel::open(ends.0, ends.1, batches);
    let channel = open().await?;
    let accepted = negotiate(request, file.len() as u64, channel.limits());
    if accepted.oack.is_some() {
        entry.heard.offers_options();
    }
    let mut line = Line::new(channel, file.clone(), accepted);
    let mut plain: Option<Line> = None;
    let mut ended = line.begin().await;
    // Until the client has answered: on the first line or, if it takes no OACK, on one without options.
    while ended.is_none() && !line.transfer.is_answered() {
        let other = plain.as_ref();
        let deadline = other.map_or(line.deadline(), |other| line.deadline().min(other.deadline()));
        let mut begin_plain = false;
        tokio::select! {
            ready = line.channel.readable() => {
                ready?;
                ended = line.hear().await;
            }
            ready = async {
                match other {
                    Some(other) => other.channel.readable().await,
                    None => std::future::pending().await,
                }
            } => {
                ready?;
                if let Some(mut other) = plain.take() {
                    let other_ended = other.hear().await;
                    if other.transfer.is_answered() {
                        (line, ended) = (other, other_ended);
                    } else if other_ended.is_none() {
                        plain = Some(other);
                    }
                    // Refused: the client has taken the OACK meanwhile.
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                (begin_plain, ended) = line.tick().await;
                if let Some(other) = &mut plain && other.tick().await.1.is_some() {
                    plain = None;
                    ended = Some(Outcome::NeverAnswered);
                }
            }
            nudge = entry.nudges.recv() => match nudge {
                Some(Nudge::AskedAgain) => {
                    let step = line.transfer.asked_again(line.now());
                    ended = line.take(step).await;
                }
                Some(Nudge::WithoutOptions) => {
                    line.transfer.be_quiet();
                    begin_plain = true;
                }
                Some(Nudge::Superseded) | None => ended = Some(Outcome::Superseded),
            },
        }
        if begin_plain && plain.is_none() {
            let mut begun = Line::new(open().await?, file.clone(), Accepted::none());
            if begun.begin().await.is_none() {
                plain = Some(begun);
            }
        }
    }
    drop(plain);
    let outcome = match ended {
        Some(outcome) => outcome,
        None => line.run(entry).await,
    };
    Ok((outcome, line.transfer.acknowledged_bytes()))
}

/// A transfer on its socket.
struct Line {
    channel: Channel,
    transfer: Transfer,
    file: Bytes,
    oack: Vec<u8>,
    begun: Instant,
}

impl Line {
    fn new(channel: Channel, file: Bytes, accepted: Accepted) -> Line {
        Line {
            channel,
            transfer: Transfer::new(&accepted, file.len() as u64),
            file,
            oack: accepted.oack.unwrap_or_default(),
            begun: Instant::now(),
        }
    }

    fn now(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    fn deadline(&self) -> Instant {
        self.begun + self.transfer.deadline()
    }

    async fn begin(&mut self) -> Option<Outcome> {
        let step = self.transfer.begin(self.now());
        self.take(step).await
    }

    /// Reads what has come.
    async fn hear(&mut self) -> Option<Outcome> {
        let mut buffer = [0; REPLY];
        let step = match self.channel.try_receive(&mut buffer) {
            Ok(len) => self.transfer.received(&buffer[..len], self.now()),
            Err(error) => self.failed(&error),
        };
        self.take(step).await
    }

    /// Lets time pass; the first value: a line without options is wanted.
    async fn tick(&mut self) -> (bool, Option<Outcome>) {
        match self.transfer.elapsed(self.now()) {
            Step::WithoutOptions => (true, None),
            step => (false, self.take(step).await),
        }
    }

    /// Goes on to the end, once the client has answered.
    async fn run(&mut self, entry: &mut Entry) -> Outcome {
        entry.heard.now(true);
        let sleep = tokio::time::sleep_until(self.deadline());
        tokio::pin!(sleep);
        let mut buffer = [0; REPLY];
        loop {
            // A client that answers at once must not keep a core for itself.
            tokio::task::consume_budget().await;
            let step = match self.channel.try_receive(&mut buffer) {
                Ok(len) => {
                    entry.heard.now(true);
                    self.transfer.received(&buffer[..len], self.now())
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::select! {
                    biased;
                    _ = self.channel.readable() => continue,
                    () = &mut sleep => self.transfer.elapsed(self.now()),
                    nudge = entry.nudges.recv() => match nudge {
                        Some(Nudge::Superseded) | None => return Outcome::Superseded,
                        Some(Nudge::AskedAgain | Nudge::WithoutOptions) => continue,
                    },
                },
                Err(error) => self.failed(&error),
            };
            if let Some(outcome) = self.take(step).await {
                return outcome;
            }
            let deadline = self.deadline();
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
        }
    }

    /// Does a step; gives back the end.
    async fn take(&mut self, step: Step) -> Option<Outcome> {
        let sent = match step {
            Step::Wait | Step::WithoutOptions => return None,
            Step::End(outcome) => return Some(outcome),
            Step::Send(Send::Oack) => self.channel.send(&self.oack).await,
            Step::Send(Send::Blocks { first, last }) => {
                let sent = self.channel.send_blocks(&self.transfer, &self.file, first, last);
                sent.await
            }
        };
        match sent.map_err(|error| self.failed(&error)) {
            Err(Step::End(outcome)) => Some(outcome),
            // As good as lost on the way; the deadline repeats it.
            _ => None,
        }
    }

    fn failed(&mut self, error: &io::Error) -> Step {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self.transfer.unreachable(),
            io::ErrorKind::WouldBlock => Step::Wait,
            _ => {
                tracing::debug!(%error, "tftp: a packet is lost");
                Step::Wait
            }
        }
    }
}
