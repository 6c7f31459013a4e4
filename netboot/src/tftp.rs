//! TFTP: a read-only table of boot files; no path reaches the file system.
//!
//! async-tftp 0.4.2 with guards (netboot-measured.md 1.1): it goes on resending after a client's ERROR (EDK2 aborts
//! every size probe so), so few and quick retries; no limits of its own, so ours on block, window and transfers; one
//! server for each address, since it answers from the address it is bound to.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_tftp::packet::Error as TftpError;
use async_tftp::server::{Handler, TftpServerBuilder};
use bytes::Bytes;
use futures::io::{AsyncRead, Sink};
use inventory_api::boot::{BootEvent, BootEventKind};
use tokio_util::sync::CancellationToken;

use crate::leases::LeaseBook;
use crate::now;
use crate::server::NetbootError;
use crate::source::BootSource;

/// Largest block: fits an Ethernet frame unfragmented.
const BLOCK: u16 = 1468;
/// Largest window (RFC 7440), in blocks.
const WINDOW: u16 = 16;
/// Resend after this time; a client's own wish is not heard, it may be 255 s.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Then give up.
const RETRIES: u32 = 5;
/// Transfers at once; each has a socket.
const TRANSFERS: usize = 512;

pub(crate) struct TftpService<S> {
    pub(crate) socket: UdpSocket,
    pub(crate) files: Arc<BTreeMap<String, Bytes>>,
    pub(crate) book: LeaseBook,
    pub(crate) source: Arc<S>,
}

impl<S: BootSource> TftpService<S> {
    pub(crate) async fn serve(self, cancel: CancellationToken) -> Result<(), NetbootError> {
        let what = "serve TFTP".to_owned();
        let files = Files {
            files: self.files,
            book: self.book,
            source: self.source,
            running: Arc::default(),
        };
        let server = TftpServerBuilder::with_handler(files)
            .std_socket(self.socket)
            .map(|builder| {
                builder
                    .timeout(TIMEOUT)
                    .ignore_client_timeout()
                    .max_send_retries(RETRIES)
                    .block_size_limit(BLOCK)
                    .window_size_limit(WINDOW)
            })
            .map_err(|error| NetbootError::Io {
                what: what.clone(),
                source: io::Error::other(error),
            })?;
        let server = server.build().await.map_err(|error| NetbootError::Io {
            what: what.clone(),
            source: io::Error::other(error),
        })?;
        tokio::select! {
            () = cancel.cancelled() => Ok(()),
            ended = server.serve() => {
                ended.map_err(|error| NetbootError::Io { what, source: io::Error::other(error) })
            }
        }
    }
}

struct Files<S> {
    files: Arc<BTreeMap<String, Bytes>>,
    book: LeaseBook,
    source: Arc<S>,
    running: Arc<AtomicUsize>,
}

/// The table's name for what a client asks: firmware sends `name`, `/name`, `//name` or `\name`.
fn table_name(path: &Path) -> Option<&str> {
    Some(path.to_str()?.trim_start_matches(['/', '\\']))
}

impl<S: BootSource> Handler for Files<S> {
    type Reader = FileReader<S>;
    type Writer = Sink;

    async fn read_req_open(
        &mut self,
        client: &SocketAddr,
        path: &Path,
    ) -> Result<(FileReader<S>, Option<u64>), TftpError> {
        let found = table_name(path).and_then(|name| self.files.get_key_value(name));
        let Some((name, bytes)) = found else {
            tracing::info!(%client, file = %path.display().to_string().escape_debug(), "tftp: no such file");
            return Err(TftpError::FileNotFound);
        };
        if self.running.fetch_add(1, Ordering::Relaxed) >= TRANSFERS {
            self.running.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%client, "tftp: {TRANSFERS} transfers at once, one more is refused");
            return Err(TftpError::Msg("busy, ask again".to_owned()));
        }
        let reader = FileReader {
            name: name.clone(),
            bytes: bytes.clone(),
            position: 0,
            acknowledged: 0,
            complete: false,
            client: *client,
            book: self.book.clone(),
            source: self.source.clone(),
            running: self.running.clone(),
        };
        Ok((reader, Some(bytes.len() as u64)))
    }

    async fn write_req_open(
        &mut self,
        _client: &SocketAddr,
        _path: &Path,
        _size: Option<u64>,
    ) -> Result<Sink, TftpError> {
        Err(TftpError::PermissionDenied)
    }
}

/// One transfer; tells its end when it is dropped.
struct FileReader<S: BootSource> {
    name: String,
    bytes: Bytes,
    position: usize,
    /// Bytes before the last read: async-tftp reads on only when it has an ACK, so these were sent and received (but
    /// for the blocks of one window).
    acknowledged: usize,
    complete: bool,
    client: SocketAddr,
    book: LeaseBook,
    source: Arc<S>,
    running: Arc<AtomicUsize>,
}

impl<S: BootSource> AsyncRead for FileReader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let position = self.position;
        let part = &self.bytes[position..];
        let len = part.len().min(buffer.len());
        buffer[..len].copy_from_slice(&part[..len]);
        self.acknowledged = position;
        self.position += len;
        // A read of nothing at the end of the file; the last block is on its way.
        if len == 0 && !buffer.is_empty() {
            self.complete = true;
        }
        Poll::Ready(Ok(len))
    }
}

impl<S: BootSource> Drop for FileReader<S> {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        let bytes = if self.complete {
            self.bytes.len()
        } else {
            self.acknowledged
        } as u64;
        if bytes == 0 {
            // A size probe: EDK2 asks for `tsize` and aborts.
            return;
        }
        tracing::info!(client = %self.client, file = self.name, bytes, complete = self.complete, "tftp");
        let IpAddr::V4(ip) = self.client.ip() else { return };
        let Some((network, mac)) = self.book.holder_anywhere(ip, now()) else {
            return;
        };
        self.source.heard(BootEvent {
            at: now(),
            mac,
            ip: Some(ip),
            network: Some(network),
            what: BootEventKind::Tftp {
                file: self.name.clone(),
                bytes,
                complete: self.complete,
            },
        });
    }
}
