//! Transfers in progress, and addresses that other servers gave to our machines. Both explain where a machine
//! is in its boot.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use inventory_api::boot::RunningTransfer;
use inventory_api::{Mac, UnixMs};
use nix::libc;
use parking_lot::Mutex;
use socket2::Socket;

use crate::now;

/// Other servers' addresses remembered; the one heard longest ago is evicted first.
const ELSEWHERE: usize = 1024;

mod request {
    // SIOCOUTQ of a TCP socket: bytes the peer has not acknowledged (tcp(7)).
    nix::ioctl_read_bad!(unacknowledged, nix::libc::TIOCOUTQ, nix::libc::c_int);
}

/// Bytes the kernel holds that the client has not acknowledged. Stops falling when the connection is dead.
pub(crate) fn unacknowledged(socket: &impl AsRawFd) -> u64 {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor stays open while the socket is borrowed, and the request writes one int.
    let asked = unsafe { request::unacknowledged(socket.as_raw_fd(), &raw mut count) };
    asked.map_or(0, |_| u64::try_from(count).unwrap_or(0))
}

/// One transfer's byte counter.
pub(crate) struct Meter {
    ip: IpAddr,
    file: String,
    by: &'static str,
    of: u64,
    begun: UnixMs,
    /// TFTP: acknowledged. HTTP: taken by the kernel.
    bytes: AtomicU64,
    moved: AtomicI64,
    stream: Weak<Socket>,
}

impl Meter {
    /// Sets the total.
    pub(crate) fn set(&self, bytes: u64) {
        if self.bytes.swap(bytes, Ordering::Relaxed) != bytes {
            self.moved.store(now().0, Ordering::Relaxed);
        }
    }

    pub(crate) fn add(&self, more: u64) {
        self.set(self.bytes.load(Ordering::Relaxed).saturating_add(more));
    }

    fn status(&self) -> RunningTransfer {
        let waiting = self.stream.upgrade().map_or(0, |stream| unacknowledged(&*stream));
        RunningTransfer {
            ip: self.ip,
            file: self.file.clone(),
            by: self.by.to_owned(),
            bytes: self.bytes.load(Ordering::Relaxed).saturating_sub(waiting),
            of: self.of,
            begun: self.begun,
            moved: UnixMs(self.moved.load(Ordering::Relaxed)),
        }
    }
}

/// The transfers in progress, each as long as somebody holds its meter; bounded by the slots of the services.
#[derive(Clone, Default)]
pub(crate) struct Transfers(Arc<Mutex<Vec<Weak<Meter>>>>);

impl Transfers {
    /// Registers a transfer of `of` bytes. `stream`: its connection, for HTTP.
    pub(crate) fn begin(&self, ip: IpAddr, file: &str, of: u64, stream: Option<&Arc<Socket>>) -> Arc<Meter> {
        let begun = now();
        let meter = Arc::new(Meter {
            ip,
            file: file.to_owned(),
            by: if stream.is_some() { "HTTP" } else { "TFTP" },
            of,
            begun,
            bytes: AtomicU64::new(0),
            moved: AtomicI64::new(begun.0),
            stream: stream.map(Arc::downgrade).unwrap_or_default(),
        });
        let mut all = self.0.lock();
        all.retain(|meter| meter.strong_count() > 0);
        all.push(Arc::downgrade(&meter));
        meter
    }

    /// Transfers to these addresses.
    pub(crate) fn to(&self, addresses: &[IpAddr]) -> Vec<RunningTransfer> {
        let all = self.0.lock();
        let running = all.iter().filter_map(Weak::upgrade);
        let theirs = running.filter(|meter| addresses.contains(&meter.ip));
        theirs.map(|meter| meter.status()).collect()
    }
}

/// Addresses that machines took from other DHCP servers, according to their REQUESTs. Good enough for a
/// journey and nothing else: these can be forged.
#[derive(Clone, Default)]
pub(crate) struct Elsewhere(Arc<Mutex<HashMap<Ipv4Addr, (Mac, UnixMs)>>>);

impl Elsewhere {
    pub(crate) fn put(&self, ip: Ipv4Addr, mac: Mac) {
        let mut all = self.0.lock();
        if all.len() >= ELSEWHERE && !all.contains_key(&ip) {
            let oldest = all.iter().min_by_key(|(_, (_, at))| *at).map(|(ip, _)| *ip);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(ip, (mac, now()));
    }

    pub(crate) fn get(&self, ip: IpAddr) -> Option<Mac> {
        let IpAddr::V4(ip) = ip else { return None };
        self.0.lock().get(&ip).map(|(mac, _)| *mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn bytes_the_client_did_not_read_do_not_count() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (mut client, (stream, peer)) = (client.unwrap(), accepted.unwrap());
        let control = Arc::new(socket2::SockRef::from(&stream).try_clone().unwrap());
        let transfers = Transfers::default();
        let meter = transfers.begin(peer.ip(), "/boot/kernel", 64 << 20, Some(&control));
        // The client reads nothing, so both kernels' buffers fill up.
        let block = vec![0; 1 << 20];
        let mut full = 0;
        while full < 20 {
            match stream.try_write(&block) {
                Ok(count) => {
                    meter.add(count as u64);
                    full = 0;
                }
                Err(_) => {
                    full += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
        let sent = meter.bytes.load(Ordering::Relaxed);
        let [running] = &transfers.to(&[peer.ip()])[..] else {
            panic!("one runs")
        };
        assert!(
            running.bytes < sent && unacknowledged(&stream) > 0,
            "{} of {sent}",
            running.bytes
        );
        let mut all = vec![0; sent as usize];
        client.read_exact(&mut all).await.unwrap();
        for _ in 0..100 {
            if unacknowledged(&stream) == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(transfers.to(&[peer.ip()])[0].bytes, sent);
        drop(meter);
        assert!(transfers.to(&[peer.ip()]).is_empty());
    }

    #[test]
    fn other_servers_addresses_are_bounded() {
        let elsewhere = Elsewhere::default();
        for n in 0..3 * ELSEWHERE as u32 {
            elsewhere.put(Ipv4Addr::from(n), Mac([2, 0, 0, 0, 0, 1]));
        }
        assert_eq!(elsewhere.0.lock().len(), ELSEWHERE);
    }
}
