//! One transfer as a state machine: datagrams and the time go in, what to send comes out. It does not hold
//! the file.
//!
//! The OACK counts as block 0, so it is sent, acknowledged and repeated like a block.

use std::ops::Range;
use std::time::Duration;

use super::options::Accepted;
use super::packet::{Packet, parse};
use super::rtt::RoundTrip;

/// Packets to a client that never answered: its address may be forged, and somebody else gets them.
const UNANSWERED: u32 = 4;
/// Without progress for this long, the client is assumed to be gone.
const GIVE_UP: Duration = Duration::from_secs(30);
/// After this many repeats of the last block, and this long, stop waiting for its ACK: some ROMs send none.
const LAST_REPEATS: u32 = 6;
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Port-unreachable errors from the client's host until they are believed.
const UNREACHABLE: u32 = 3;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// The OACK.
    Oack,
    /// DATA packets from the first to the last block, both inclusive.
    Blocks {
        /// First block; counted from 1, beyond 65535.
        first: u64,
        /// Last block.
        last: u64,
    },
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before the deadline or the next datagram.
    Wait,
    /// Send this.
    Send(Send),
    /// The OACK was never answered: start a transfer without options from another port, and keep listening
    /// here.
    WithoutOptions,
    /// The transfer has ended.
    End(Outcome),
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was acknowledged.
    Complete,
    /// Everything but the last block was acknowledged; then the client fell silent, as clients do that have
    /// what they want.
    LastUnconfirmed,
    /// The client sent an ERROR with this code. After an OACK it is a size probe (EDK2 sends code 8), not a
    /// failure.
    Refused(u16),
    /// The client answered, then fell silent.
    Silent,
    /// The client never answered.
    NeverAnswered,
    /// The client's host reports that nobody listens on its port.
    Unreachable,
    /// The client sent another request from the same port.
    Superseded,
}

impl Outcome {
    /// Whether the client has the whole file.
    pub fn is_complete(self) -> bool {
        matches!(self, Outcome::Complete | Outcome::LastUnconfirmed)
    }

    /// A stable short code.
    pub fn code(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::LastUnconfirmed => "last-unconfirmed",
            Outcome::Refused(_) => "refused",
            Outcome::Silent => "silent",
            Outcome::NeverAnswered => "never-answered",
            Outcome::Unreachable => "unreachable",
            Outcome::Superseded => "superseded",
        }
    }
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Transfer {
    len: u64,
    block: u64,
    window: u64,
    /// The last block; shorter than the others, perhaps empty.
    last: u64,
    /// The first block not acknowledged.
    next: u64,
    /// The last block sent since then.
    sent: u64,
    sent_at: Duration,
    /// `next` was sent more than once: its ACK does not tell the round trip.
    repeats: u32,
    /// Copies of earlier blocks may be on their way, so an ACK for the block before `next` may answer those.
    doubtful: bool,
    answered: bool,
    quiet: bool,
    one_port: bool,
    unreachable: u32,
    progress_at: Duration,
    deadline: Duration,
    round_trip: RoundTrip,
}

impl Transfer {
    /// A transfer of `len` bytes with these options. Call [`Transfer::begin`] next.
    pub fn new(accepted: &Accepted, len: u64) -> Transfer {
        let block = u64::from(accepted.block.max(1));
        let first = u64::from(accepted.oack.is_none());
        Transfer {
            len,
            block,
            window: u64::from(accepted.window.max(1)),
            last: len / block + 1,
            next: first,
            sent: first,
            sent_at: Duration::ZERO,
            repeats: 0,
            doubtful: false,
            answered: false,
            quiet: false,
            one_port: false,
            unreachable: 0,
            progress_at: Duration::ZERO,
            deadline: Duration::ZERO,
            round_trip: RoundTrip::unknown(accepted.timeout),
        }
    }

    /// Whether the transfer is from the server's port. If the client ignores OACKs, there is no other port to
    /// start over from: blocks of 512 bytes would come from this one, and a client that took an OACK
    /// meanwhile would take the first for the last. So the OACK is not repeated by the clock, only when the
    /// client asks again: a client that asks a third time will not get another one.
    pub fn on_one_port(self, one_port: bool) -> Transfer {
        Transfer { one_port, ..self }
    }

    /// The first packet.
    pub fn begin(&mut self, now: Duration) -> Step {
        self.progress_at = now;
        self.send(now)
    }

    /// Handles a datagram from the client.
    pub fn received(&mut self, datagram: &[u8], now: Duration) -> Step {
        match parse(datagram) {
            Ok(Packet::Ack(number)) => self.acknowledged(number, now),
            Ok(Packet::Error(code)) => Step::End(Outcome::Refused(code)),
            // Not part of a transfer; perhaps from somebody guessing ports.
            Ok(Packet::Read(_)) | Err(_) => Step::Wait,
        }
    }

    /// Handles the passage of time; the deadline may have passed.
    pub fn elapsed(&mut self, now: Duration) -> Step {
        if now < self.deadline {
            return Step::Wait;
        }
        let idle = now.saturating_sub(self.progress_at);
        if self.one_port && self.next == 0 {
            self.deadline = self.progress_at + GIVE_UP;
            return if idle < GIVE_UP {
                Step::Wait
            } else {
                Step::End(Outcome::NeverAnswered)
            };
        }
        if !self.answered && (self.quiet || self.repeats + 1 >= UNANSWERED) {
            if self.next > 0 || self.quiet {
                return Step::End(Outcome::NeverAnswered);
            }
            self.be_quiet();
            return Step::WithoutOptions;
        }
        if self.next == self.last && self.repeats >= LAST_REPEATS && idle >= LAST_WAIT {
            return Step::End(Outcome::LastUnconfirmed);
        }
        if idle >= GIVE_UP {
            return Step::End(Outcome::Silent);
        }
        self.round_trip.back_off();
        self.repeats += 1;
        self.send(now)
    }

    /// The client repeated its request and lacks the first packet.
    pub fn asked_again(&mut self, now: Duration) -> Step {
        if self.answered || self.quiet {
            return Step::Wait;
        }
        self.repeats += 1;
        self.send(now)
    }

    /// The client's host reported that nobody listens on the client's port.
    pub fn unreachable(&mut self) -> Step {
        self.unreachable += 1;
        if self.answered && self.next == self.last {
            Step::End(Outcome::LastUnconfirmed)
        } else if !self.answered || self.unreachable >= UNREACHABLE {
            Step::End(Outcome::Unreachable)
        } else {
            Step::Wait
        }
    }

    /// Sends nothing more on its own until the client answers: a transfer without options has taken over.
    pub fn be_quiet(&mut self) {
        self.quiet = true;
        self.deadline = self.progress_at + GIVE_UP;
    }

    /// When to call [`Transfer::elapsed`].
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether the client has answered at all.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// Bytes in each block but the last.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// Bytes that the client has.
    pub fn acknowledged_bytes(&self) -> u64 {
        (self.next.saturating_sub(1) * self.block).min(self.len)
    }

    /// A block's bytes in the file.
    pub fn bytes_of(&self, block: u64) -> Range<u64> {
        let start = (block.saturating_sub(1) * self.block).min(self.len);
        start..(start + self.block).min(self.len)
    }

    fn acknowledged(&mut self, number: u16, now: Duration) -> Step {
        // Windows are far shorter than 65536 blocks: the low 16 bits identify the block.
        let ahead = u64::from(number.wrapping_sub(self.next as u16));
        if ahead <= self.sent - self.next {
            return self.progress(self.next + ahead, now);
        }
        // RFC 7440: a second ACK of the block before `next` means that `next` is missing. With one block at a
        // time it may be a copy, and answering it would double every packet from here on (Sorcerer's
        // apprentice, RFC 1123 4.2.3.1). With a window, the answer to a copy could do the same, hence
        // `doubtful` and only once.
        let gap = number == (self.next as u16).wrapping_sub(1) && self.window > 1 && self.next > 0;
        if gap && !self.doubtful && self.repeats == 0 {
            self.repeats += 1;
            return self.send(now);
        }
        Step::Wait
    }

    fn progress(&mut self, block: u64, now: Duration) -> Step {
        self.answered = true;
        self.quiet = false;
        self.progress_at = now;
        if self.repeats == 0 {
            self.round_trip.measured(now.saturating_sub(self.sent_at));
        }
        self.next = block + 1;
        if block == self.last {
            return Step::End(Outcome::Complete);
        }
        // An ACK in the middle of a window: the rest was lost, and the client discards the remaining window
        // (RFC 7440). Or the network duplicated a block: then the rest arrives, a second copy of it would be
        // acknowledged the same way, and so on to the end of the file. Believe it once; after that send only
        // new blocks, and let the deadline repair a loss.
        let partial = block < self.sent;
        let rest_is_coming = partial && self.doubtful;
        self.doubtful = !rest_is_coming && (partial || self.repeats > 0);
        self.repeats = 0;
        self.unreachable = 0;
        let from = if rest_is_coming { self.sent + 1 } else { self.next };
        self.send_from(from, now)
    }

    fn send(&mut self, now: Duration) -> Step {
        self.send_from(self.next, now)
    }

    /// Sends as far as the window goes.
    fn send_from(&mut self, first: u64, now: Duration) -> Step {
        self.sent_at = now;
        self.deadline = now + self.round_trip.pause();
        if self.next == 0 {
            return Step::Send(Send::Oack);
        }
        self.sent = (self.next + self.window - 1).min(self.last);
        if first > self.sent {
            return Step::Wait;
        }
        Step::Send(Send::Blocks {
            first,
            last: self.sent,
        })
    }
}
