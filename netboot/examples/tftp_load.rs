//! For `make bench`: fetches a file by TFTP with many clients at once and prints the seconds it took.
//!
//! `tftp_load SERVER:PORT FILE BYTES CLIENTS BLKSIZE WINDOW RTT_US LOSS_PER_10000`. Round trip and loss are
//! simulated here (the client waits before each ACK, drops packets and omits ACKs), because the kernels of
//! test machines often have no netem. Window 0: no windowsize option.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Firmware waits for seconds.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
struct Wish {
    server: SocketAddr,
    bytes: usize,
    block: usize,
    window: u32,
    round_trip: Duration,
    loss: u64,
}

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, file, bytes, clients, block, window, round_trip, loss] = words.as_slice() else {
        return Err("tftp_load SERVER:PORT FILE BYTES CLIENTS BLKSIZE WINDOW RTT_US LOSS_PER_10000".into());
    };
    let wish = Wish {
        server: server.parse()?,
        bytes: bytes.parse()?,
        block: block.parse()?,
        window: window.parse()?,
        round_trip: Duration::from_micros(round_trip.parse()?),
        loss: loss.parse()?,
    };
    let clients: u64 = clients.parse()?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..clients)
            .map(|n| scope.spawn(move || fetch(wish, file, n)))
            .collect();
        running
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
    })?;
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

struct Client {
    socket: UdpSocket,
    wish: Wish,
    chance: u64,
    last: Vec<u8>,
    to: SocketAddr,
}

impl Client {
    fn lost(&mut self) -> bool {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % 10_000 < self.wish.loss
    }

    fn send(&mut self, packet: Vec<u8>) -> Result<(), Error> {
        if !self.wish.round_trip.is_zero() {
            std::thread::sleep(self.wish.round_trip);
        }
        if !self.lost() {
            self.socket.send_to(&packet, self.to)?;
        }
        self.last = packet;
        Ok(())
    }

    /// The number of bytes received and the size of a packet; `None`: nothing came in time.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<(usize, usize)>, Error> {
        let fd = self.socket.as_raw_fd();
        let mut control = nix::cmsg_space!(i32);
        let mut slices = [IoSliceMut::new(buffer)];
        let received = recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut control), MsgFlags::empty());
        let message = match received {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let size = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
            _ => None,
        });
        if let Some(from) = message.address {
            self.to = SocketAddr::from((from.ip(), from.port()));
        }
        Ok(Some((message.bytes, size.unwrap_or(message.bytes))))
    }

    fn ack(&mut self, block: u16) -> Result<(), Error> {
        let [high, low] = block.to_be_bytes();
        self.send(vec![0, 4, high, low])
    }
}

/// The window of an OACK. Its block size must be the one asked for.
fn agreed_window(oack: &[u8], wish: Wish) -> Result<Option<u16>, Error> {
    let words: Vec<&[u8]> = oack.split(|b| *b == 0).collect();
    let mut window = None;
    for pair in words.chunks_exact(2) {
        let value = std::str::from_utf8(pair[1])?;
        match pair[0] {
            b"windowsize" => window = Some(value.parse()?),
            b"blksize" if value != wish.block.to_string() => {
                return Err(format!("blocks of {value} bytes").into());
            }
            _ => {}
        }
    }
    Ok(window)
}

fn fetch(wish: Wish, file: &str, number: u64) -> Result<(), Error> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // Packets the server sent as a batch arrive as one; other servers' arrive one by one.
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    let mut request = format!("\0\x01{file}\0octet\0blksize\0{}\0", wish.block).into_bytes();
    if wish.window > 0 {
        request.extend(format!("windowsize\0{}\0", wish.window).bytes());
    }
    let chance = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1);
    let mut client = Client {
        socket,
        wish,
        chance,
        last: Vec::new(),
        to: wish.server,
    };
    client.send(request)?;
    let (mut expected, mut got, mut window, mut in_window, mut silent, mut told) = (1u16, 0, 1, 0, 0, false);
    let mut buffer = vec![0; 1 << 17];
    loop {
        let Some((len, size)) = client.receive(&mut buffer)? else {
            silent += 1;
            if silent > 20 {
                return Err("silence".into());
            }
            let last = client.last.clone();
            client.send(last)?;
            continue;
        };
        silent = 0;
        for packet in buffer[..len].chunks(size.max(1)) {
            if client.lost() {
                continue;
            }
            match packet {
                [0, 3, high, low, data @ ..] => {
                    let block = u16::from_be_bytes([*high, *low]);
                    if block != expected {
                        if !told {
                            (told, in_window) = (true, 0);
                            client.ack(expected.wrapping_sub(1))?;
                        }
                        continue;
                    }
                    told = false;
                    got += data.len();
                    expected = expected.wrapping_add(1);
                    in_window += 1;
                    let last = data.len() < wish.block;
                    if last || in_window == window {
                        in_window = 0;
                        client.ack(block)?;
                    }
                    if last {
                        if got != wish.bytes {
                            return Err(format!("{got} bytes instead of {}", wish.bytes).into());
                        }
                        return Ok(());
                    }
                }
                [0, 6, words @ ..] => {
                    window = agreed_window(words, wish)?.unwrap_or(window);
                    client.ack(0)?;
                }
                other => return Err(format!("a packet {:?}", &other[..other.len().min(60)]).into()),
            }
        }
    }
}
