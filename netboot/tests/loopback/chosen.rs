//! A choice at the console when the site's signed mini-os boots for it: its command line lacks our words.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use inventory_api::boot::{BootArgs, BootEvent, BootTarget, Choice, Purpose};
use inventory_api::{Sha256Digest, UnixMs};
use netboot::{BootClient, BootInstruction, BootSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{DEADLINE, Service};

const MAC: &str = "02:00:00:00:00:01";

/// Has only what a person at a machine chooses, with a new ticket each time.
#[derive(Default)]
struct Person(AtomicU32);

impl BootSource for Person {
    async fn target(&self, _: &BootClient) -> BootTarget {
        BootTarget::LocalDisk
    }

    async fn script(&self, _: &BootClient) -> BootInstruction {
        BootInstruction::LocalDisk
    }

    async fn chosen(&self, client: &BootClient, choice: Choice) -> BootInstruction {
        assert_eq!(choice, Choice::Rescue);
        BootInstruction::MiniOs(Box::new(BootArgs {
            server: "https://127.0.0.1:8443".to_owned(),
            boot_url: "http://127.0.0.1:8067".to_owned(),
            mac: client.mac,
            ticket: format!("ticket-{}", self.0.fetch_add(1, Ordering::Relaxed)),
            time: UnixMs(1_800_000_000_000),
            purpose: Purpose::Rescue,
        }))
    }

    async fn public_image(&self, _: Sha256Digest) -> Option<PathBuf> {
        None
    }

    fn heard(&self, _: BootEvent) {}
}

async fn ask(service: &Service, what: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(service.http).await.unwrap();
    let request = format!("GET {what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(DEADLINE, read)
        .await
        .expect("the answer's end")
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn the_signed_mini_os_gets_the_words_of_a_choice_once() {
    let service = Service::run(
        Arc::<Person>::default(),
        |_| {},
        |config| {
            config.unified = Some(PathBuf::from("mini-os.efi"));
            config.rescue = true;
        },
    )
    .await;
    let choose = format!("/boot.ipxe?mac={MAC}&choice=rescue");
    let (words, plain) = (format!("/boot.args?mac={MAC}"), format!("/boot.ipxe?mac={MAC}"));
    let script = ask(&service, &choose).await.1;
    assert!(script.contains("/boot/mini-os.efi"), "{script}");
    // Not another machine's.
    assert_eq!(ask(&service, "/boot.args?mac=02:00:00:00:00:02").await.0, 409);
    let (status, text) = ask(&service, &words).await;
    let args = BootArgs::parse(&text).unwrap();
    assert_eq!(
        (status, args.ticket.as_str(), args.purpose),
        (200, "ticket-0", Purpose::Rescue)
    );
    assert_eq!(
        ask(&service, &words).await.0,
        409,
        "it boots its own disk, as decided"
    );
    // It booted again before the mini-os asked, so the earlier choice no longer counts.
    ask(&service, &choose).await;
    ask(&service, &plain).await;
    assert_eq!(ask(&service, &words).await.0, 409);
    service.stop().await;
}
