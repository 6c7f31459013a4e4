//! A signed mini-os has the same command line on all machines, so it asks the server for the arguments that
//! an unsigned one finds there. As with boot scripts, the server gives them only to the holder of the
//! machine's lease. A forged answer gains nothing: the server must still present a certificate of the
//! authority that is signed into the mini-os.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory_api::boot::BootArgs;

use super::coldplug::ColdPlug;
use super::network::{self, Interface};
use crate::console::Console;
use crate::plain::plain;
use crate::session::{bounded, plain_client};

/// Longest wait for an address before the next NIC is tried.
const ADDRESS: Duration = Duration::from_secs(25);
/// Longest wait for one server's answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest answer, in bytes; longer than any kernel command line.
const LONGEST: usize = 4096;
/// Time limit for all attempts together.
const PATIENCE: Duration = Duration::from_secs(600);

/// Asks over each NIC in turn, those with a link first, until a server says what this machine is booted for.
/// That NIC keeps its address.
///
/// # Errors
/// No server answered in time, or the machine should boot its own disk.
pub(super) async fn ask(
    urls: &[String],
    ca_pem: &str,
    drivers: &mut ColdPlug,
    console: &Arc<dyn Console>,
) -> Result<(BootArgs, Interface), String> {
    let client = plain_client(ca_pem)?;
    let started = Instant::now();
    let mut last = "no NIC with a driver".to_owned();
    while started.elapsed() < PATIENCE {
        drivers.round(console.as_ref());
        let mut here = network::interfaces().map_err(|e| format!("/sys/class/net: {e}"))?;
        network::link_up(&here).await;
        here.sort_by_key(|interface| !network::has_carrier(interface));
        for interface in here {
            console.line(&format!(
                "network: {} {}: asking the server what to boot for",
                interface.name, interface.mac
            ));
            let up = network::bring_up(interface.clone(), Arc::clone(console));
            let lease = match tokio::time::timeout(ADDRESS, up).await {
                Ok(Ok(lease)) => lease,
                // If one NIC cannot be brought up, try the others.
                Ok(Err(why)) => {
                    last = why;
                    console.line(&last);
                    continue;
                }
                Err(_) => {
                    last = format!("no address on {}", interface.name);
                    continue;
                }
            };
            for url in urls {
                let asked = format!("{}/boot.args?mac={}", url.trim_end_matches('/'), interface.mac);
                match answer(&client, &asked, &interface).await {
                    Ok(args) => return Ok((args, interface)),
                    Err(Refusal::LocalDisk) => {
                        return Err("the server has this machine boot its own disk now".to_owned());
                    }
                    Err(Refusal::Other(why)) => {
                        last = format!("{asked}: {}", plain(&why));
                        console.line(&last);
                    }
                }
            }
            // The next NIC's network could clash with this address.
            lease.give_up().await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Err(format!(
        "no server said what this machine is booted for; last error: {last}"
    ))
}

enum Refusal {
    LocalDisk,
    Other(String),
}

async fn answer(client: &reqwest::Client, url: &str, interface: &Interface) -> Result<BootArgs, Refusal> {
    let other = |e: reqwest::Error| Refusal::Other(inventory_api::text::with_causes(&e));
    let response = client.get(url).timeout(ANSWER).send().await.map_err(other)?;
    let status = response.status();
    if status == reqwest::StatusCode::CONFLICT {
        return Err(Refusal::LocalDisk);
    }
    let Some(bytes) = bounded(response, LONGEST).await.map_err(other)? else {
        return Err(Refusal::Other(format!("an answer of more than {LONGEST} bytes")));
    };
    let text = String::from_utf8_lossy(&bytes);
    if !status.is_success() {
        return Err(Refusal::Other(format!("{status}: {}", text.trim())));
    }
    let args = BootArgs::parse(&text).map_err(|e| Refusal::Other(e.to_string()))?;
    if args.mac != interface.mac {
        return Err(Refusal::Other(format!("an answer for {}", args.mac)));
    }
    Ok(args)
}
