//! A way from the host into the isolated network: forwards connections to a loopback port to an address
//! inside.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};

use anyhow::{Context, Result};
use tokio::net::TcpStream;

/// A port on the host's loopback, opened before the process moves into the isolated network: a socket stays
/// in the network in which it was made.
pub struct Door {
    listener: TcpListener,
}

impl Door {
    /// Opens `port`, or any free port if that is taken.
    pub fn open(port: u16) -> Result<Door> {
        let wanted = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let listener = match TcpListener::bind(wanted) {
            Err(e) if e.kind() == ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)),
            other => other,
        }
        .with_context(|| format!("listening on {wanted}"))?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener })
    }

    pub fn port(&self) -> Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Forwards each connection to `target`, on the calling thread's runtime and in its network.
    pub fn lead_to(self, target: SocketAddr) -> Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        tokio::spawn(async move {
            loop {
                let Ok((mut outside, _)) = listener.accept().await else {
                    // Out of descriptors: connections that end will free some.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                };
                tokio::spawn(async move {
                    if let Ok(mut inside) = TcpStream::connect(target).await {
                        // Either side may hang up at any time.
                        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                    }
                });
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_are_forwarded_and_a_taken_port_is_replaced() {
        let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = target.local_addr().unwrap();
        let door = Door::open(taken.port()).unwrap();
        let port = door.port().unwrap();
        assert_ne!(port, taken.port());
        door.lead_to(taken).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "ping");
    }
}
