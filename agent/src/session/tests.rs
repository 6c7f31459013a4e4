//! The session against a server that loses answers, disappears, says stop and cuts downloads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use inventory_api::agent::{Permission, Progress, StepOutcome, StepReport, WIPE_PLAN};
use inventory_api::boot::Purpose;
use inventory_api::plan::{DiskTarget, ImageChannel, ImageSource};
use inventory_api::report::DiskFacts;
use inventory_api::{Mac, Sha256Digest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::link::ServerLink;
use super::*;
use crate::install::Link;

/// What the server does with a request.
enum Answer {
    Send(u16, Vec<u8>),
    /// Sends the bytes, then cuts the connection before the announced end.
    Cut(u16, Vec<u8>, usize),
    /// Closes the connection without an answer.
    Lose,
}

struct Asked {
    line: String,
    range: Option<usize>,
    body: Value,
    /// Whether the client sent a certificate.
    known: bool,
}

/// Turns a signing request (PEM) into a certificate.
type Sign = Box<dyn Fn(&str) -> String + Send>;

type Handler = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

struct Server {
    ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn args(server: &str) -> BootArgs {
    BootArgs {
        server: server.to_owned(),
        boot_url: "http://127.0.0.1:1".into(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        ticket: "very-secret-ticket".into(),
        time: UnixMs(0),
        purpose: Purpose::Commission,
    }
}

fn ok(value: Value) -> Answer {
    Answer::Send(200, value.to_string().into_bytes())
}

/// Starts a server on a free port; `answer` sees each request and how many came before it.
async fn server(answer: impl Fn(&Seen, &Asked) -> Answer + Send + Sync + 'static) -> Server {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let server_key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &ca)
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let state = Seen {
        asked: Arc::clone(&asked),
        issuer: Mutex::new(sign_with(&ca)),
    };
    let handler: Handler = Arc::new(move |a| answer(&state, a));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, handler, log) = (acceptor.clone(), Arc::clone(&handler), Arc::clone(&log));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    converse_with(stream, handler, log).await;
                }
            });
        }
    });
    Server { ca, url, asked }
}

/// What `answer` sees of a request.
struct Seen {
    asked: Arc<Mutex<Vec<String>>>,
    issuer: Mutex<Sign>,
}

impl Seen {
    fn times(&self, start: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|l| l.starts_with(start)).count()
    }

    fn claim(&self, asked: &Asked) -> Answer {
        assert!(!asked.known);
        let certificate = (self.issuer.lock().unwrap())(asked.body["csr_pem"].as_str().unwrap());
        ok(json!({"machine": "m-0123456789ab", "certificate_pem": certificate, "server_time": 5}))
    }
}

fn sign_with(ca: &rcgen::CertifiedIssuer<'static, rcgen::KeyPair>) -> Sign {
    let key = rcgen::KeyPair::from_pem(&ca.key().serialize_pem()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(ca.der(), key).unwrap();
    Box::new(move |csr| {
        let request = rcgen::CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.signed_by(&issuer).unwrap().pem()
    })
}

async fn converse_with(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    handler: Handler,
    log: Arc<Mutex<Vec<String>>>,
) {
    let known = stream.get_ref().1.peer_certificates().is_some();
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
        let header = |name: &str| {
            text.lines()
                .find_map(|l| l.to_ascii_lowercase().strip_prefix(name).map(str::to_owned))
        };
        let length = header("content-length: ").map_or(0, |l| l.parse().unwrap());
        while bytes.len() < head + length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let asked = Asked {
            line: text.lines().next().unwrap().replace(" HTTP/1.1", ""),
            range: header("range: bytes=").map(|r| r.trim_end_matches('-').parse().unwrap()),
            body: serde_json::from_slice(&bytes[head..head + length]).unwrap_or(Value::Null),
            known,
        };
        bytes.drain(..head + length);
        let answer = handler(&asked);
        log.lock().unwrap().push(asked.line.clone());
        let range = asked
            .range
            .map_or(String::new(), |r| format!("Content-Range: bytes {r}-9/10\r\n"));
        let reply = |status: u16, length: usize| {
            format!("HTTP/1.1 {status} X\r\n{range}Content-Length: {length}\r\n\r\n").into_bytes()
        };
        match answer {
            Answer::Send(status, body) => {
                let mut out = reply(status, body.len());
                out.extend(body);
                if stream.write_all(&out).await.is_err() {
                    return;
                }
            }
            Answer::Cut(status, body, length) => {
                let mut out = reply(status, length);
                out.extend(body);
                let _ = stream.write_all(&out).await;
                let _ = stream.flush().await;
                return;
            }
            Answer::Lose => return,
        }
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl Console for Lines {
    fn line(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl Lines {
    fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

fn pace() -> Pace {
    Pace {
        poll_wait: Duration::from_millis(10),
        retry_first: Duration::from_millis(10),
        retry_cap: Duration::from_millis(50),
        progress: Duration::from_millis(10),
        report: Duration::from_secs(3600),
    }
}

struct Bench {
    lines: Arc<Lines>,
    machine: Machine,
    disk: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

fn bench(server: &Server) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::write(&disk, vec![7u8; 4 << 20]).unwrap();
    let lines = Arc::new(Lines::default());
    let look = || {
        vec![DiskFacts {
            name: "vda".into(),
            serial: Some("S1".into()),
            size_bytes: Some(4 << 20),
            logical_block_bytes: Some(512),
            ..DiskFacts::default()
        }]
    };
    let machine = Machine {
        origin: Origin::Ticket {
            args: args(&server.url),
            ca_pem: server.ca.pem(),
        },
        roots: Roots::under(dir.path().join("nothing")),
        duty: Duty::MiniOs {
            site: Site::simulated(
                look,
                BTreeMap::from([("vda".to_owned(), disk.clone())]),
                dir.path().join("root"),
                dir.path().join("esp"),
                "/proc/self/exe".into(),
            ),
        },
        console: lines.clone(),
        server_time: None,
        pace: pace(),
        cancel: CancellationToken::new(),
    };
    Bench {
        lines,
        machine,
        disk,
        _dir: dir,
    }
}

/// Runs to the end, or fails with the console's lines.
async fn run_to_end(bench: Bench) -> (Exit, Arc<Lines>, Vec<u8>) {
    let Bench {
        lines,
        machine,
        disk,
        _dir,
    } = bench;
    match tokio::time::timeout(Duration::from_secs(60), run(machine)).await {
        Ok(exit) => (exit, lines, std::fs::read(disk).unwrap()),
        Err(_) => panic!("waited 60 s for the session to end; console:\n{}", lines.all()),
    }
}

fn assignment(seq: u64, what: Value) -> Answer {
    ok(json!({"seq": seq, "assignment": what}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_repeated_until_a_server_that_is_away_answers() {
    let claims: Arc<Mutex<Vec<Value>>> = Arc::default();
    let nonces: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (seen_claims, seen_nonces) = (Arc::clone(&claims), Arc::clone(&nonces));
    let server = server(move |state, asked| {
        let n = state.times(&asked.line);
        match asked.line.as_str() {
            "POST /agent/v1/claim" => {
                seen_claims.lock().unwrap().push(asked.body.clone());
                match n {
                    0 => Answer::Lose,
                    1 => Answer::Send(503, Vec::new()),
                    _ => state.claim(asked),
                }
            }
            "POST /agent/v1/report" => {
                assert!(asked.known);
                seen_nonces.lock().unwrap().push(asked.body["nonce"].clone());
                if n == 0 {
                    return Answer::Cut(200, b"{".to_vec(), 50);
                }
                ok(json!({"check": null, "message": "thanks\u{1b}[2J"}))
            }
            "GET /agent/v1/assignment?wait=0" if n == 0 => Answer::Lose,
            "GET /agent/v1/assignment?wait=0" => assignment(7, json!({"kind": "report"})),
            "GET /agent/v1/assignment?wait=0&seen=7" => assignment(8, json!({"kind": "dance"})),
            "GET /agent/v1/assignment?wait=0&seen=8" => {
                assignment(9, json!({"kind": "reboot", "message": "bye"}))
            }
            other => panic!("{other}"),
        }
    })
    .await;
    let (exit, lines, _) = run_to_end(bench(&server)).await;
    assert_eq!(
        exit,
        Exit::Reboot {
            message: "bye".into()
        }
    );
    let claims = claims.lock().unwrap();
    assert_eq!(claims.len(), 3);
    assert!(claims.iter().all(|c| *c == claims[0]), "the same key each time");
    let nonces = nonces.lock().unwrap();
    assert!(
        nonces.len() == 3 && nonces[0] == nonces[1] && nonces[1] != nonces[2],
        "{nonces:?}"
    );
    let said = lines.all();
    assert!(
        said.contains("does not know") && !said.contains("secret") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_ticket_ends_the_session() {
    let server = server(|_, _| {
        let problem =
            json!({"type": "ticket-used", "title": "Used", "status": 409, "detail": "claimed by another"});
        Answer::Send(409, problem.to_string().into_bytes())
    })
    .await;
    let (exit, ..) = run_to_end(bench(&server)).await;
    assert!(exit.to_string().contains("ticket-used"), "{exit}");
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

/// Runs with these answers to assignment polls and step reports; returns the step reports.
async fn steps_of(assignments: Vec<Value>, permission: Value) -> (Vec<StepReport>, String, Vec<u8>) {
    let steps: Arc<Mutex<Vec<StepReport>>> = Arc::default();
    let seen = Arc::clone(&steps);
    let server = server(move |state, asked| match asked.line.as_str() {
        "POST /agent/v1/claim" => state.claim(asked),
        "POST /agent/v1/report" => ok(json!({"check": null, "message": ""})),
        "POST /agent/v1/step" => {
            let report: StepReport = serde_json::from_value(asked.body.clone()).unwrap();
            seen.lock().unwrap().push(report);
            ok(permission.clone())
        }
        line if line.starts_with("GET /agent/v1/assignment") => {
            let n = state.times("GET /agent/v1/assignment");
            let bye = json!({"kind": "reboot", "message": ""});
            assignment(n as u64, assignments.get(n).cloned().unwrap_or(bye))
        }
        other => panic!("{other}"),
    })
    .await;
    let (_, lines, disk) = run_to_end(bench(&server)).await;
    let steps = steps.lock().unwrap().clone();
    (steps, lines.all(), disk)
}

fn wipe() -> Value {
    let disk = DiskTarget {
        serial: Some("S1".into()),
        wwn: None,
        model: None,
        size_bytes: 4 << 20,
        block_bytes: 512,
        removable: false,
    };
    json!({"kind": "wipe", "disks": [disk]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_before_the_first_write_leaves_the_disk_alone() {
    let stop = serde_json::to_value(Permission::Stop {
        message: "not now".into(),
    })
    .unwrap();
    let (steps, said, disk) = steps_of(vec![wipe()], stop).await;
    assert_eq!(steps.len(), 1);
    assert_eq!(
        (steps[0].plan.as_str(), &steps[0].outcome),
        (WIPE_PLAN, &StepOutcome::Starting {})
    );
    assert!(disk.iter().all(|b| *b == 7), "nothing was written");
    assert!(said.contains("not now"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wipe_is_done_and_reported() {
    let go = serde_json::to_value(Permission::Continue {}).unwrap();
    let (steps, said, disk) = steps_of(vec![wipe()], go).await;
    assert!(
        matches!(
            steps[..],
            [
                _,
                StepReport {
                    outcome: StepOutcome::Wiped { .. },
                    ..
                }
            ]
        ),
        "{steps:?} {said}"
    );
    assert!(
        said.contains("wipe: Disk serial S1: partition tables and signatures"),
        "{said}"
    );
    assert!(disk[..1 << 20].iter().all(|b| *b == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_with_anything_unknown_is_refused() {
    let go = serde_json::to_value(Permission::Continue {}).unwrap();
    let plan =
        json!({"kind": "install", "plan": {"id": "p-1", "schema": 1, "paint": "red", "steps": [{}, {}]}});
    let (steps, _, disk) = steps_of(vec![plan], go).await;
    match &steps[..] {
        [
            StepReport {
                plan,
                index: 2,
                outcome: StepOutcome::Failed {
                    code, wrote: false, ..
                },
                ..
            },
        ] => assert_eq!((plan.as_str(), code.as_str()), ("p-1", "plan-unknown")),
        other => panic!("{other:?}"),
    }
    assert!(disk.iter().all(|b| *b == 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_download_goes_on_where_it_was() {
    let image = b"0123456789";
    let server = server(move |_, asked| match (asked.line.as_str(), asked.range) {
        ("GET /images/a", None) => Answer::Cut(200, image[..4].to_vec(), 10),
        ("GET /images/a", Some(from)) => Answer::Send(206, image[from..].to_vec()),
        _ => Answer::Send(200, b"{}".to_vec()),
    })
    .await;
    let lines = Arc::new(Lines::default());
    let channel =
        Channel::open_for_claim(&args(&server.url), &server.ca.pem(), lines.clone(), pace()).unwrap();
    let link = ServerLink::new(channel, lines, &pace(), 1);
    let mut source = ImageSource {
        path: "/images/a".into(),
        channel: ImageChannel::MutualTls,
        sha256: Sha256Digest([0; 32]),
        compressed_bytes: 10,
        content_sha256: Sha256Digest([0; 32]),
        content_bytes: 10,
    };
    let mut got = Vec::new();
    let mut stream = link.fetch(&source, 0).await.ok().unwrap();
    while let Some(Ok(chunk)) = stream.next().await {
        got.extend(chunk);
    }
    assert_eq!(got, b"0123");
    let mut stream = link.fetch(&source, 4).await.ok().unwrap();
    while let Some(chunk) = stream.next().await {
        got.extend(chunk.unwrap());
    }
    assert_eq!(got, image);
    source.path = "//elsewhere/a".into();
    assert!(matches!(
        link.fetch(&source, 0).await,
        Err(crate::install::FetchError::Fatal(_))
    ));
    link.progress(Progress {
        plan: "p-1".parse().unwrap(),
        index: 0,
        done_bytes: 5,
        total_bytes: 10,
    });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !server
        .asked
        .lock()
        .unwrap()
        .iter()
        .any(|l| l == "POST /agent/v1/progress")
    {
        assert!(
            std::time::Instant::now() < deadline,
            "waited 30 s for the progress message"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
