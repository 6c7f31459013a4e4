//! A simulated network with a simulated clock: the server's state machines on one side, an RFC 7440 client on
//! the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use netboot_protocol::tftp::packet::data_head;
use netboot_protocol::tftp::{
    Accepted, Limits, Outcome, Packet, Repeat, Send, Step, Transfer, negotiate, parse, repeated,
};

/// What happens to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost, per thousand.
    pub loss: u64,
    /// Delivered twice, per thousand.
    pub copies: u64,
    /// Minimum delay, µs.
    pub delay: u64,
    /// Up to this many µs more: later packets may arrive earlier.
    pub jitter: u64,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// What a client does with a block out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Acknowledges each time what it has.
    Eager,
    /// Acknowledges once until the next block comes.
    Once,
    /// Waits until its own timer expires.
    Patient,
}

/// A client and its options.
#[derive(Clone, Debug)]
pub struct Client {
    pub request: Vec<u8>,
    pub manners: Manners,
    /// Does not know OACKs.
    pub ignores_oacks: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub file: Option<Vec<u8>>,
    pub took: Duration,
    /// DATA packets sent by the server.
    pub data: u64,
    /// Transfers started by the server.
    pub transfers: u32,
    /// How the finished ones ended.
    pub ends: Vec<Outcome>,
}

enum Event {
    ToClient(u32, Vec<u8>),
    ToServer(Option<u32>, Vec<u8>),
    ClientClock(u32),
}

struct Line {
    port: u32,
    transfer: Transfer,
    oack: Vec<u8>,
    begun: Duration,
}

struct World<'a> {
    file: &'a [u8],
    weather: Weather,
    chance: u64,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    queued: std::collections::HashMap<u64, Event>,
    serial: u64,
    lines: Vec<Line>,
    asked: u32,
    heard: Duration,
    seen: Seen,
}

impl World<'_> {
    fn chance(&mut self, of: u64) -> u64 {
        // xorshift64
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % of.max(1)
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.serial += 1;
        self.queued.insert(self.serial, event);
        self.events.push(Reverse((self.now + after, self.serial)));
    }

    fn travel(&mut self, make: impl Fn() -> Event) {
        let copies = 1 + u64::from(self.chance(1000) < self.weather.copies);
        for _ in 0..copies {
            if self.chance(1000) >= self.weather.loss {
                let micros = self.weather.delay + self.chance(self.weather.jitter + 1);
                self.at(Duration::from_micros(micros), make());
            }
        }
    }

    fn take(&mut self, index: usize, step: Step) {
        let line = &self.lines[index];
        let port = line.port;
        match step {
            Step::Wait => {}
            Step::Send(Send::Oack) => {
                let packet = line.oack.clone();
                self.travel(|| Event::ToClient(port, packet.clone()));
            }
            Step::Send(Send::Blocks { first, last }) => {
                for block in first..=last {
                    let range = self.lines[index].transfer.bytes_of(block);
                    let part = &self.file[range.start as usize..range.end as usize];
                    let packet = [&data_head(block), part].concat();
                    self.seen.data += 1;
                    self.travel(|| Event::ToClient(port, packet.clone()));
                }
            }
            Step::WithoutOptions => self.begin(Accepted::none()),
            Step::End(outcome) => {
                let line = self.lines.remove(index);
                let bytes = line.transfer.acknowledged_bytes();
                assert!(bytes == self.file.len() as u64 || outcome != Outcome::Complete);
                self.seen.ends.push(outcome);
            }
        }
    }

    fn begin(&mut self, accepted: Accepted) {
        self.seen.transfers += 1;
        let mut transfer = Transfer::new(&accepted, self.file.len() as u64);
        let step = transfer.begin(Duration::ZERO);
        self.lines.push(Line {
            port: self.seen.transfers,
            transfer,
            oack: accepted.oack.unwrap_or_default(),
            begun: self.now,
        });
        self.take(self.lines.len() - 1, step);
    }

    /// A request arrives, handled as in `netboot::tftp`.
    fn requested(&mut self, datagram: &[u8]) {
        let Ok(Packet::Read(request)) = parse(datagram) else {
            panic!("not a request")
        };
        if let Some(line) = self.lines.first_mut() {
            self.asked += 1;
            let answered = line.transfer.is_answered();
            let idle = self.now - self.heard;
            let decided = repeated(true, answered, !line.oack.is_empty(), self.asked, idle);
            let now = self.now - line.begun;
            match decided {
                Repeat::Ignore => return,
                Repeat::Resend => {
                    self.heard = self.now;
                    let step = line.transfer.asked_again(now);
                    return self.take(0, step);
                }
                Repeat::WithoutOptions => {
                    self.heard = self.now;
                    line.transfer.be_quiet();
                    if self.lines.len() == 1 {
                        self.begin(Accepted::none());
                    }
                    return;
                }
                Repeat::Replace => self.lines.clear(),
            }
        }
        (self.asked, self.heard) = (1, self.now);
        let accepted = negotiate(&request, self.file.len() as u64, Limits::for_mtu(1500, false));
        self.begin(accepted);
    }

    fn deadline(&self) -> Option<Duration> {
        self.lines
            .iter()
            .map(|line| line.begun + line.transfer.deadline())
            .min()
    }
}

/// Lets the client fetch the file; ends when it has it, or after two hours: with a quarter lost, each of
/// hundreds of windows takes seconds.
pub fn fetch(file: &[u8], client: &Client, weather: Weather) -> Seen {
    let mut world = World {
        file,
        weather,
        chance: weather.seed | 1,
        now: Duration::ZERO,
        events: BinaryHeap::new(),
        queued: std::collections::HashMap::new(),
        serial: 0,
        lines: Vec::new(),
        asked: 0,
        heard: Duration::ZERO,
        seen: Seen::default(),
    };
    let (mut port, mut block, mut window) = (None, 512usize, 1u64);
    let (mut expected, mut in_window, mut complained) = (1u64, 0u64, false);
    let mut content = Vec::new();
    let mut clock = 0;
    let patience = Duration::from_secs(1);
    world.travel(|| Event::ToServer(None, client.request.clone()));
    world.at(patience, Event::ClientClock(0));
    loop {
        let next = world.events.peek().map(|Reverse((at, _))| *at);
        if let Some(deadline) = world.deadline()
            && next.is_none_or(|next| deadline <= next)
        {
            world.now = world.now.max(deadline);
            for index in (0..world.lines.len()).rev() {
                let line = &mut world.lines[index];
                let step = line.transfer.elapsed(world.now - line.begun);
                world.take(index, step);
            }
            continue;
        }
        let Some(Reverse((at, serial))) = world.events.pop() else {
            return world.seen;
        };
        world.now = at;
        if world.now > Duration::from_secs(7200) {
            return world.seen;
        }
        let mut reply = None;
        match world.queued.remove(&serial).expect("every event is queued") {
            Event::ToServer(None, datagram) => world.requested(&datagram),
            Event::ToServer(Some(port), datagram) => {
                if let Some(index) = world.lines.iter().position(|line| line.port == port) {
                    world.heard = world.now;
                    let line = &mut world.lines[index];
                    let step = line.transfer.received(&datagram, world.now - line.begun);
                    if line.transfer.is_answered() && world.lines.len() > 1 {
                        let line = world.lines.swap_remove(index);
                        world.lines = vec![line];
                        world.take(0, step);
                    } else {
                        world.take(index, step);
                    }
                }
            }
            Event::ToClient(from, packet) => {
                if port.is_some_and(|port| port != from) {
                    let error = b"\0\x05\0\x05unknown transfer\0".to_vec();
                    world.travel(|| Event::ToServer(Some(from), error.clone()));
                    continue;
                }
                match packet[1] {
                    6 if !client.ignores_oacks && expected == 1 => {
                        port = Some(from);
                        let text = String::from_utf8(packet[2..].to_vec()).expect("an OACK is text");
                        let words: Vec<&str> = text.split('\0').collect();
                        for pair in words.chunks_exact(2) {
                            match pair[0] {
                                "blksize" => block = pair[1].parse().expect("a number"),
                                "windowsize" => window = pair[1].parse().expect("a number"),
                                _ => {}
                            }
                        }
                        reply = Some(0);
                    }
                    3 => {
                        port = Some(from);
                        let number = u16::from_be_bytes([packet[2], packet[3]]);
                        if number == expected as u16 {
                            content.extend_from_slice(&packet[4..]);
                            (in_window, complained) = (in_window + 1, false);
                            if packet.len() - 4 < block {
                                world.seen.file = Some(content);
                                world.seen.took = world.now;
                                return world.seen;
                            }
                            if in_window == window {
                                reply = Some(expected);
                            }
                            expected += 1;
                        } else if client.manners == Manners::Eager
                            || client.manners == Manners::Once && !complained
                        {
                            complained = true;
                            reply = Some(expected - 1);
                        }
                    }
                    _ => {}
                }
            }
            Event::ClientClock(of) if of == clock => match port {
                None => {
                    world.travel(|| Event::ToServer(None, client.request.clone()));
                    world.at(patience, Event::ClientClock(clock));
                }
                Some(_) => reply = Some(expected - 1),
            },
            Event::ClientClock(_) => {}
        }
        if let Some(number) = reply {
            in_window = 0;
            let ack = [&[0, 4][..], &(number as u16).to_be_bytes()].concat();
            let to = port;
            world.travel(|| Event::ToServer(to, ack.clone()));
            clock += 1;
            world.at(patience, Event::ClientClock(clock));
        }
    }
}
