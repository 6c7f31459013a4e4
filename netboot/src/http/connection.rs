//! Accepts HTTP connections, with limits on their number, head size and idle time.
//!
//! When all slots are taken, [`crate::slots`] decides which connection is closed: strangers cannot lock out
//! a lease holder.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BufMut;
use http::{Method, Request};
use inventory_api::boot::ConnectionEnd;
use netboot_protocol::http::head::{BadHead, HEAD_BYTES, persists, request, response_head};
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::send::{Sent, send};
use super::{Answer, HttpService, bad_request};
use crate::content::Content;
use crate::error::NetbootError;
use crate::log;
use crate::running::unacknowledged;
use crate::slots::{Full, Limits, Slot, Slots};
use crate::source::BootSource;
use crate::tasks::panicked;

/// Connection slots. iPXE and the agent use one or two at once.
const LIMITS: Limits = Limits {
    slots: 1024,
    per_address: 64,
};
/// A request's head must arrive within this time; an idle connection is closed after it.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// A client that acknowledges nothing for this long is gone, e.g. switched off in the middle of an image.
const SILENCE: Duration = Duration::from_secs(60);
/// After our last answer, read what the client still sends for this long, up to [`HEAD_BYTES`]: closing a
/// socket with unread bytes resets the connection, and the answer may be lost (RFC 9112, section 9.6).
const LAST: Duration = Duration::from_secs(2);

impl<S: BootSource> HttpService<S> {
    pub(crate) async fn serve(self, listener: TcpListener) -> Result<(), NetbootError> {
        let (service, slots) = (Arc::new(self), Slots::new(LIMITS));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = service.scripts.shared.cancel.cancelled() => return Ok(()),
                error = panicked(&mut tasks, "HTTP") => return Err(error),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let ip = peer.ip();
                    match slots.take(ip, service.scripts.shared.standing(ip)) {
                        Ok(slot) => {
                            let service = service.clone();
                            tasks.spawn(async move { connection(stream, ip, &service, slot).await });
                        }
                        Err(full) => {
                            refused(ip, full);
                            service.connection_ended(ip, ConnectionEnd::Busy);
                        }
                    }
                }
                Err(error) => {
                    // Out of file descriptors, or the client is already gone.
                    log::paced!(warn; "http-accept", "failed", false; %error, "cannot accept an HTTP connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

fn refused(peer: IpAddr, full: Full) {
    let (reason, why) = match full {
        Full::Address => (
            "address",
            "an address has reached its limit of HTTP connections: more are refused",
        ),
        Full::Slots => (
            "places",
            "all HTTP connections are in use, none with a lower priority than this address: connection refused",
        ),
    };
    if let Some(left_out) = log::each_minute("http-refused", reason) {
        tracing::warn!(%peer, left_out, "{why}");
    }
}

async fn connection<S: BootSource>(stream: TcpStream, peer: IpAddr, service: &HttpService<S>, slot: Slot) {
    let socket = SockRef::from(&stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4));
    // A second handle to the socket, usable while a thread sends on the first.
    let control = match socket.try_clone() {
        Ok(control) => Arc::new(control),
        Err(error) => {
            return tracing::warn!(%peer, %error, "HTTP connection dropped: too many open files");
        }
    };
    let mut asked = false;
    let ended = tokio::select! {
        ended = requests(stream, &control, peer, service, &slot, &mut asked) => ended,
        () = slot.revoked() => {
            if let Some(left_out) = log::each_minute("http-refused", "taken away") {
                tracing::warn!(%peer, left_out, "all HTTP connections are in use: closing the one with the lowest priority");
            }
            // A thread may still be sending a file: this stops it. With a reset, since a close would wait for
            // a client that does not read.
            let _ = control.set_linger(Some(Duration::ZERO));
            let _ = control.shutdown(Shutdown::Both);
            return service.connection_ended(peer, ConnectionEnd::Busy);
        }
    };
    if !asked {
        let late = matches!(&ended, Err(error) if error.kind() == io::ErrorKind::TimedOut);
        let end = if late {
            ConnectionEnd::TimedOut
        } else {
            ConnectionEnd::Closed
        };
        service.connection_ended(peer, end);
    }
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}

/// How long to wait when only the end is unacknowledged, and what counts as the end. iPXE and EDK2 start what
/// they loaded before they acknowledge its last segments, and never send on that connection again.
const LAST_ACK: Duration = Duration::from_secs(1);
const END_BYTES: u64 = 128 * 1024;

/// Waits until the client has acknowledged everything but the end: data the kernel took may never have
/// arrived.
async fn acknowledged(stream: &TcpStream) -> io::Result<()> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let left = unacknowledged(stream);
        if left == 0 || (left <= END_BYTES && begun.elapsed() >= LAST_ACK) {
            return Ok(());
        }
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        if begun.elapsed() >= SILENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // A next request acknowledges the last answer, so stop waiting.
        let _ = tokio::time::timeout(pause, stream.readable()).await;
        if unacknowledged(stream) > 0 {
            tokio::time::sleep(pause).await;
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Serves one request after another until the client is done. hyper could do this but for one thing: it
/// cannot send a file without reading it into memory, which halves the rate sendfile(2) reaches
/// (docs/bench.md, "HTTP boot").
async fn requests<S: BootSource>(
    mut stream: TcpStream,
    control: &Arc<Socket>,
    peer: IpAddr,
    service: &HttpService<S>,
    slot: &Slot,
    asked: &mut bool,
) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Ok(next) = tokio::time::timeout(HEAD_TIME, next(&stream, &mut read)).await else {
            let why = "no whole request in time";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        };
        slot.touch();
        let (answer, stays, with_content) = match next? {
            None => return Ok(()),
            Some(Ok(request)) => (
                service.respond(peer, &request).await,
                persists(&request),
                request.method() != Method::HEAD,
            ),
            Some(Err(bad)) => {
                let response = bad_request(bad);
                let heard = None;
                (Answer { response, heard }, false, true)
            }
        };
        *asked = true;
        let Answer { response, heard } = answer;
        let date = http_date(SystemTime::now());
        let head = response_head(&response, &date, !stays);
        let content = with_content.then(|| response.into_body());
        let of = content.as_ref().map_or(0, Content::len);
        let meter = heard.as_ref().map(|heard| service.meter(heard, of, control));
        let Sent {
            stream: going,
            bytes,
            mut result,
        } = send(stream, head, content, slot, meter.as_ref()).await;
        if let Some(heard) = heard {
            if let (Ok(()), Some(going)) = (&result, &going) {
                result = acknowledged(going).await;
            }
            let lost = unacknowledged(&**control);
            service.ended(heard, bytes, lost, result.is_err());
        }
        drop(meter);
        result?;
        let Some(going) = going else { return Ok(()) };
        if !stays {
            return last(&going).await;
        }
        stream = going;
    }
}

/// The next request, or why it is malformed; `None` at EOF. Bytes behind it stay in `read`.
async fn next(stream: &TcpStream, read: &mut Vec<u8>) -> io::Result<Option<Result<Request<()>, BadHead>>> {
    loop {
        match request(read) {
            Ok(Some((request, len))) => {
                read.drain(..len);
                return Ok(Some(Ok(request)));
            }
            Ok(None) => {}
            Err(bad) => return Ok(Some(Err(bad))),
        }
        if more(stream, read).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads what is available, at most [`HEAD_BYTES`] at once.
async fn more(stream: &TcpStream, read: &mut Vec<u8>) -> io::Result<usize> {
    read.reserve(1024);
    loop {
        stream.readable().await?;
        match stream.try_read_buf(&mut (&mut *read).limit(HEAD_BYTES)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn last(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).shutdown(Shutdown::Write)?;
    let rest = async {
        let mut read = Vec::new();
        while read.len() < HEAD_BYTES && more(stream, &mut read).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(LAST, rest).await.unwrap_or(Ok(()))
}

/// The Date header. A clock without a battery may show a year before 1970, or after 9999, where httpdate
/// panics.
fn http_date(now: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(now.clamp(UNIX_EPOCH, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_causes_no_panic() {
        let century = Duration::from_secs(100 * 365 * 86_400);
        for (now, date) in [
            (UNIX_EPOCH - century, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (UNIX_EPOCH, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (UNIX_EPOCH + century, "Sat, 07 Dec 2069 00:00:00 GMT"),
            (UNIX_EPOCH + century * 200, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(now), date);
        }
    }
}
