//! A cable with a switch in user space between a client or virtual server and the lab's bridge. It loses,
//! duplicates, delays and reorders frames (kernels of test machines often have no netem), and a filter may
//! change them.

mod frame;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::lab::{BRIDGE, Lab};
use crate::netns::{NetNs, ip};

pub use frame::{blank_options, plain_pxe, read_request};

/// Longest Ethernet frame of these networks.
const FRAME: usize = 2048;
/// How often the switch checks whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What happens to frames, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Lost, per thousand.
    pub loss: u64,
    /// Delivered twice, per thousand.
    pub copies: u64,
    /// Delayed by up to this, so a later frame may arrive earlier.
    pub delay: Duration,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Weather {
    /// Everything arrives, once and in order.
    pub const FINE: Weather = Weather {
        loss: 0,
        copies: 0,
        delay: Duration::ZERO,
        seed: 1,
    };
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// To the lab's bridge and the server.
    Bridge,
    /// To the client or virtual server.
    Client,
}

/// Sees every frame and may change it.
pub type Filter = Box<dyn FnMut(Towards, &mut [u8]) + Send>;

/// The switch; stops on drop.
pub struct Switch {
    end: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Frames lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client whose cable to the lab's bridge goes through the switch: a namespace whose `eth0` has this MAC
/// and no address.
pub fn client(lab: &Lab, mac: &str, weather: Weather) -> Result<(NetNs, Switch)> {
    let client = NetNs::new()?;
    let theirs = client.run(|| {
        let theirs = tap("eth0")?;
        ip(&format!("link set eth0 address {mac} up"))?;
        Ok(theirs)
    })?;
    Ok((
        client,
        connect(lab, BRIDGE, theirs, weather, Box::new(|_, _| {}))?,
    ))
}

/// A tap device for a virtual server whose cable to a bridge of the lab goes through the switch.
pub fn vm(lab: &Lab, bridge: &str, weather: Weather, filter: Filter) -> Result<(String, Switch)> {
    const NEAR: &str = "near0";
    // The virtual server holds the only descriptor of its tap, so a bridge with two ports connects it to the
    // switch.
    let theirs = tap("near1")?;
    lab.plain_bridge(NEAR)?;
    ip(&format!("link set near1 master {NEAR} up"))?;
    let tap = lab.tap_on(NEAR)?;
    Ok((tap, connect(lab, bridge, theirs, weather, filter)?))
}

fn connect(lab: &Lab, bridge: &str, theirs: File, weather: Weather, filter: Filter) -> Result<Switch> {
    const PORT: &str = "cable0";
    let ours = tap(PORT)?;
    ip(&format!("link set {PORT} master {bridge} up"))?;
    let (end, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let wire = Wire {
        ends: [ours, theirs],
        weather,
        filter,
        chance: weather.seed | 1,
        due: BinaryHeap::new(),
        frames: HashMap::new(),
        serial: 0,
        lost: lost.clone(),
    };
    let stop = end.clone();
    let thread = std::thread::Builder::new()
        .name("cable".to_owned())
        .spawn(move || wire.run(&stop))?;
    let switch = Switch {
        end,
        lost,
        thread: Some(thread),
    };
    crate::wait::until_blocking("the cable to carry packets", Duration::from_secs(10), || {
        let up = ip(&format!("-d link show dev {PORT}"))?.contains("state forwarding")
            && lab
                .inside()
                .run(|| ip(&format!("link show dev {bridge}")))?
                .contains("state UP");
        Ok(up.then_some(()))
    })?;
    Ok(switch)
}

mod request {
    nix::ioctl_write_ptr_bad!(
        /// TUNSETIFF: creates the device for a descriptor of /dev/net/tun.
        set_interface,
        nix::request_code_write!(b'T', 202, size_of::<nix::libc::c_int>()),
        nix::libc::ifreq
    );
}

/// A tap device in the calling thread's namespace, for as long as the file is open.
fn tap(name: &str) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .context("opening /dev/net/tun")?;
    // SAFETY: ifreq is plain data; all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is valid for the call.
    unsafe { request::set_interface(file.as_raw_fd(), &raw const request) }
        .with_context(|| format!("making tap {name}"))?;
    Ok(file)
}

struct Wire {
    ends: [File; 2],
    weather: Weather,
    filter: Filter,
    chance: u64,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    /// By serial number: the direction and the frame.
    frames: HashMap<u64, (usize, Vec<u8>)>,
    serial: u64,
    lost: Arc<AtomicU64>,
}

impl Wire {
    fn run(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            let now = Instant::now();
            let wait = self.due.peek().map_or(LOOK, |Reverse((at, _))| {
                at.saturating_duration_since(now).min(LOOK)
            });
            let limit = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
            let mut watched = self
                .ends
                .each_ref()
                .map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
            // An interrupted wait is as good as a completed one.
            let _ = poll(&mut watched, limit);
            for from in [0, 1] {
                let mut buffer = [0; FRAME];
                while let Ok(len) = self.ends[from].read(&mut buffer) {
                    self.accept(1 - from, &mut buffer[..len]);
                }
            }
            while let Some(Reverse((at, serial))) = self.due.peek().copied()
                && at <= Instant::now()
            {
                self.due.pop();
                if let Some((to, frame)) = self.frames.remove(&serial) {
                    // A full device, or one that is down, loses the frame, as a switch would.
                    let _ = self.ends[to].write(&frame);
                }
            }
        }
    }

    fn accept(&mut self, to: usize, frame: &mut [u8]) {
        let towards = [Towards::Bridge, Towards::Client][to];
        (self.filter)(towards, frame);
        let copies = 1 + u64::from(self.chance(1000) < self.weather.copies);
        for _ in 0..copies {
            if self.chance(1000) < self.weather.loss {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let micros = self.weather.delay.as_micros() as u64;
            let after = Duration::from_micros(self.chance(micros + 1));
            self.serial += 1;
            self.frames.insert(self.serial, (to, frame.to_vec()));
            self.due.push(Reverse((Instant::now() + after, self.serial)));
        }
    }

    fn chance(&mut self, of: u64) -> u64 {
        // xorshift64
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % of
    }
}
