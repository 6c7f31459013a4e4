//! An installed machine whose clock is lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inventory_api::UnixMs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Pace;
use super::channel::Channel;
use crate::console::Stdout;
use crate::install::Credentials;

const DAY: u64 = 86_400;

/// Starts a boot service whose clock reads `at`; returns its base URL.
async fn boot_service(at: SystemTime) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                httpdate::fmt_http_date(at)
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

/// A server whose certificate is valid for a day from `start`, its authority, and a machine certificate from
/// it that is valid for ten years around now.
async fn server(start: SystemTime) -> (String, Credentials) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (start.into(), (start + Duration::from_secs(DAY)).into());
    let certificate = params.signed_by(&key, &ca).unwrap();
    let machine_key = rcgen::KeyPair::generate().unwrap();
    let mut machine = rcgen::CertificateParams::default();
    let span = Duration::from_secs(5 * 365 * DAY);
    (machine.not_before, machine.not_after) = (
        (SystemTime::now() - span).into(),
        (SystemTime::now() + span).into(),
    );
    let machine = machine.signed_by(&machine_key, &ca).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let credentials = Credentials {
        machine: "m-0123456789ab".parse().unwrap(),
        server: url.clone(),
        boot_url: String::new(),
        key_pem: machine_key.serialize_pem(),
        cert_pem: machine.pem(),
        ca_pem: ca.pem(),
    };
    (url, credentials)
}

/// The times given to a machine whose server's certificate is valid only around `now` plus this many days.
async fn told(days: i64) -> Vec<u64> {
    let shifted = UNIX_EPOCH
        + Duration::from_secs(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
                .checked_add_signed(days * DAY as i64)
                .unwrap(),
        );
    let (_, mut credentials) = server(shifted - Duration::from_secs(DAY / 2)).await;
    credentials.boot_url = boot_service(shifted).await;
    let valid = crate::clock::validity(&credentials.cert_pem).unwrap();
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let set = Arc::clone(&heard);
    let pace = Pace {
        retry_first: Duration::from_millis(1),
        retry_cap: Duration::from_millis(1),
        ..Pace::default()
    };
    let mut channel = Channel::open(&credentials, Arc::new(Stdout), pace).unwrap();
    let set = Arc::new(move |time: UnixMs| set.lock().unwrap().push(time.0 as u64 / 1000));
    channel.asks_time(set, valid).await;
    // The agent waits for an unreachable server for ever.
    let _ = tokio::time::timeout(Duration::from_millis(300), channel.get("assignment")).await;
    let mut heard = heard.lock().unwrap().clone();
    heard.dedup();
    let expected = shifted.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(heard.iter().all(|time| *time == expected), "{heard:?}");
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_boot_service_is_asked_for_the_time_when_tls_fails_over_dates() {
    // Our clock is slow, or fast.
    assert_eq!(told(400).await.len(), 1);
    assert_eq!(told(-400).await.len(), 1);
    // All is well; or the given time is after its own certificate's end.
    assert!(told(0).await.is_empty());
    assert!(told(10 * 365).await.is_empty());
}
