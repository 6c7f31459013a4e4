//! A TFTP client like iPXE's: blksize and tsize, one block at a time, retries.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::UdpSocket;

pub async fn get(server: SocketAddr, file: &str) -> Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    let mut request = vec![0, 1];
    for word in [file, "octet", "tsize", "0", "blksize", "1432"] {
        request.extend(word.as_bytes());
        request.push(0);
    }
    let mut blksize = 512;
    let mut content = Vec::new();
    let mut wanted: u16 = 1;
    let mut last = request;
    let mut to = server;
    let mut silent = 0;
    let mut buffer = vec![0u8; 4096];
    loop {
        let _ = socket.send_to(&last, to).await;
        let received = tokio::time::timeout(Duration::from_secs(2), socket.recv_from(&mut buffer)).await;
        let Ok(Ok((len, from))) = received else {
            silent += 1;
            if silent > 10 {
                bail!(
                    "TFTP of {file} from {server}: silence after {} bytes",
                    content.len()
                );
            }
            continue;
        };
        silent = 0;
        to = from;
        let packet = &buffer[..len];
        let (kind, rest) = packet
            .split_at_checked(2)
            .context("a TFTP packet without a kind")?;
        match kind {
            // OACK: the accepted options.
            [0, 6] => {
                let words: Vec<&[u8]> = rest.split(|b| *b == 0).collect();
                for pair in words
                    .chunks(2)
                    .filter(|p| p.len() == 2 && p[0].eq_ignore_ascii_case(b"blksize"))
                {
                    blksize = std::str::from_utf8(pair[1])?.parse()?;
                }
                last = vec![0, 4, 0, 0];
            }
            [0, 3] => {
                let (number, data) = rest
                    .split_at_checked(2)
                    .context("a DATA packet without a number")?;
                let number = u16::from_be_bytes([number[0], number[1]]);
                if number == wanted {
                    content.extend_from_slice(data);
                    wanted = wanted.wrapping_add(1);
                }
                last = vec![0, 4, packet[2], packet[3]];
                if number == wanted.wrapping_sub(1) && data.len() < blksize {
                    let _ = socket.send_to(&last, to).await;
                    return Ok(content);
                }
            }
            [0, 5] => bail!(
                "TFTP of {file}: {}",
                String::from_utf8_lossy(&rest[2.min(rest.len())..])
            ),
            _ => bail!("TFTP of {file}: a packet of kind {kind:?}"),
        }
    }
}
