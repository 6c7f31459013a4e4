//! HTTP boot: scripts, kernel, archives, loaders and public images. GET and HEAD, exact lengths, ranges. No
//! redirects: they stop EDK2. `//x` means `/x`, as shim asks for it. Everything else is 404.

mod connection;
mod send;

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use inventory_api::boot::{BootEventKind, Choice, ConnectionEnd};
use inventory_api::{Mac, Sha256Digest};
use netboot_protocol::http::head::BadHead;
use netboot_protocol::menu::grub_script;
use netboot_protocol::{AUTOEXEC, Network};

use crate::content::Content;
use crate::log;
use crate::running::Meter;
use crate::scripts::{Language, NoScript, Script, Scripts};
use crate::source::BootSource;
use netboot_protocol::http::range::{Wanted, wanted};
use socket2::Socket;

type Response = http::Response<Content>;

/// A response, and the request to report when it ends.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) heard: Option<HeardRequest>,
}

/// The last file that a mini-os boot script names.
const LAST_FETCHED: &str = "/boot/site";

/// Marks a response as the last one fetched before the machine starts something else.
#[derive(Clone, Copy)]
struct Last;

/// A request from a machine on one of our networks.
pub(crate) struct HeardRequest {
    mac: Mac,
    peer: IpAddr,
    network: Option<String>,
    path: String,
    status: u16,
    head: bool,
    /// The last fetch: the machine goes on without acknowledging it.
    last: bool,
}

/// HTTP boot for the networks reached through one of our addresses.
pub(crate) struct HttpService<S> {
    pub(crate) scripts: Arc<Scripts<S>>,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    /// The machine's boot script, or the one for its `choice` parameter.
    Script(Language),
    Grub(Option<Choice>),
    BootFile(&'a str),
    Image(Sha256Digest),
    Nothing,
}

fn route(path: &str) -> Route<'_> {
    let path = path.trim_start_matches('/');
    let (folder, name) = path.split_once('/').unwrap_or(("", path));
    match (folder, name.trim_start_matches('/')) {
        ("", "boot.ipxe") => Route::Script(Language::Ipxe),
        ("", "boot.args") => Route::Script(Language::Words),
        ("grub", name) => grub_script(&format!("grub/{name}")).map_or(Route::Nothing, Route::Grub),
        // Firmware may ask for a loader next to another one.
        ("boot" | "", name) => Route::BootFile(name),
        ("images", digest) => digest.parse().map_or(Route::Nothing, Route::Image),
        _ => Route::Nothing,
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// The `choice` parameter of a query. `Err`: not a known choice.
fn choice_parameter(query: &str) -> Result<Option<Choice>, ()> {
    parameter(query, "choice")
        .map(|choice| choice.parse())
        .transpose()
}

/// The `mac` parameter of a query.
fn mac_parameter(query: &str) -> Option<Mac> {
    let mac: Mac = parameter(query, "mac")?.parse().ok()?;
    (!mac.is_junk()).then_some(mac)
}

impl<S: BootSource> HttpService<S> {
    /// The response to a request. For HEAD, its content must not be sent.
    pub(crate) async fn respond(&self, peer: IpAddr, request: &Request<()>) -> Answer {
        let (method, path) = (request.method(), request.uri().path());
        let query = request.uri().query().unwrap_or_default();
        let mac = mac_parameter(query);
        let response = if method != Method::GET && method != Method::HEAD {
            let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            let methods = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, methods);
            response
        } else {
            match route(path) {
                // HEAD would make a ticket that nobody gets.
                Route::Script(_) if method == Method::HEAD => {
                    refuse(StatusCode::METHOD_NOT_ALLOWED, "boot scripts need GET")
                }
                Route::Script(language) => match choice_parameter(query) {
                    Err(()) => refuse(StatusCode::BAD_REQUEST, "unknown choice"),
                    Ok(_) if mac.is_none() => {
                        let why = "a boot script needs ?mac= with the address of the booting NIC";
                        refuse(StatusCode::BAD_REQUEST, why)
                    }
                    Ok(choice) => {
                        let made = self.scripts.make(peer, mac, choice, language).await;
                        script_response(made, mac, peer)
                    }
                },
                Route::Grub(choice) => {
                    let only_length = method == Method::HEAD;
                    let made = self.scripts.for_grub(peer, choice, only_length).await;
                    script_response(made, mac, peer)
                }
                Route::BootFile(AUTOEXEC) => {
                    let script = Content::Memory(self.scripts.autoexec(peer).into());
                    ranged(request.headers(), script, None, "text/plain")
                }
                Route::BootFile(name) => {
                    let file = self.scripts.shared.files.open(name, true).await;
                    let kind = match &file {
                        Some(Ok(Content::Memory(_))) => content_type(name),
                        _ => BYTES,
                    };
                    file_response(file, None, kind, request.headers())
                }
                Route::Image(digest) => {
                    let file = match self.scripts.shared.source.public_image(digest).await {
                        Some(path) => Some(Content::open(&path).await),
                        None => None,
                    };
                    let tag = format!("\"{digest}\"");
                    file_response(file, Some(&tag), BYTES, request.headers())
                }
                Route::Nothing => not_found(),
            }
        };
        let heard = self.heard_request(request, peer, mac, &response);
        Answer { response, heard }
    }

    fn heard_request(
        &self,
        request: &Request<()>,
        peer: IpAddr,
        says: Option<Mac>,
        response: &Response,
    ) -> Option<HeardRequest> {
        let status = response.status().as_u16();
        // A request for another machine's script is recorded under the MAC it names: that machine is the one
        // in danger.
        let refused = says.filter(|_| status == 403).map(|mac| (None, mac));
        let named = |(network, mac): (Option<&Network>, Mac)| (network.map(|n| n.name().to_owned()), mac);
        let (network, mac) = refused
            .or_else(|| self.scripts.machine_at(peer, says).map(named))
            .or_else(|| self.scripts.shared.networks.whose(peer))?;
        let path = request.uri().path().replace("//", "/");
        let last = path == LAST_FETCHED || response.extensions().get::<Last>().is_some();
        Some(HeardRequest {
            mac,
            peer,
            network,
            path: path.chars().take(200).collect(),
            status,
            head: request.method() == Method::HEAD,
            last,
        })
    }

    /// Starts the progress meter of an answer with `of` bytes of content.
    pub(crate) fn meter(&self, heard: &HeardRequest, of: u64, stream: &Arc<Socket>) -> Arc<Meter> {
        self.scripts
            .shared
            .networks
            .transfers()
            .begin(heard.peer, &heard.path, of, Some(stream))
    }

    /// Reports a connection that ended before a request.
    pub(crate) fn connection_ended(&self, peer: IpAddr, end: ConnectionEnd) {
        let what = BootEventKind::Connection {
            port: self.scripts.http_port,
            end,
            detail: None,
        };
        self.scripts.shared.report_from(peer, what);
    }

    /// Reports how an answer ended: `sent` bytes of content, of which `lost` were never acknowledged.
    pub(crate) fn ended(&self, heard: HeardRequest, sent: u64, lost: u64, failed: bool) {
        let (bytes, partial) = arrived(heard.last, sent, lost, failed);
        let (mac, status, head) = (heard.mac, heard.status, heard.head);
        let known = self.scripts.shared.source.known(mac);
        log::paced!(info; "http", &status.to_string(), known; %mac, path = heard.path, status, bytes, head, partial, "http");
        let what = BootEventKind::Http {
            path: heard.path,
            bytes,
            status,
            head,
            partial,
        };
        self.scripts
            .shared
            .record(mac, Some(heard.peer), heard.network, what);
    }
}

/// How much of an answer arrived, and whether it is incomplete. A short unacknowledged end counts as arrived,
/// because loaders do not wait for it. An answer of which nothing was acknowledged does not, except for the
/// `last` one they fetch.
fn arrived(last: bool, sent: u64, lost: u64, failed: bool) -> (u64, bool) {
    let partial = failed || (sent > 0 && lost >= sent && !last);
    (if partial { sent.saturating_sub(lost) } else { sent }, partial)
}

fn script_response(made: Result<Script, NoScript>, mac: Option<Mac>, peer: IpAddr) -> Response {
    let why = match made {
        // It contains a ticket: no cache may keep it.
        Ok(Script { text, last }) => {
            let mut response = of_type(StatusCode::OK, "text/plain", Content::Memory(text.into()));
            if last {
                response.extensions_mut().insert(Last);
            }
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);
            return response;
        }
        Err(why) => why,
    };
    let (status, words) = match why {
        NoScript::Ignored => return not_found(),
        NoScript::NotTheHolder => {
            log::paced!(warn; "boot-script", "not-the-holder", false; ?mac, %peer, "boot script refused: the address does not hold this machine's lease");
            let words = "boot scripts are only served to the address of the machine's lease";
            (StatusCode::FORBIDDEN, words)
        }
        NoScript::ByIpv6 => {
            log::paced!(warn; "boot-script", "by-ipv6", false; ?mac, %peer, "boot script refused: scripts are served over IPv4 only");
            let words = "boot scripts are only served over IPv4, to the address of the machine's lease";
            (StatusCode::FORBIDDEN, words)
        }
        NoScript::OwnDisk => (StatusCode::CONFLICT, "this machine boots its own disk"),
        NoScript::Broken => {
            let words = "the boot script cannot be made; see the server's log";
            (StatusCode::INTERNAL_SERVER_ERROR, words)
        }
        NoScript::Unavailable => {
            let words = "the server cannot make a boot script now; see its log, and retry";
            (StatusCode::SERVICE_UNAVAILABLE, words)
        }
    };
    refuse(status, words)
}

const BYTES: &str = "application/octet-stream";

/// EDK2 uses it to tell a program from a CD or disk image (UEFI 2.10, 24.7.1; `HttpBootCheckImageType`).
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("efi") => "application/efi",
        Some("iso") => "application/vnd.efi-iso",
        Some("img") => "application/vnd.efi-img",
        _ => BYTES,
    }
}

fn file_response(
    file: Option<io::Result<Content>>,
    tag: Option<&str>,
    content_type: &'static str,
    headers: &HeaderMap,
) -> Response {
    match file {
        Some(Ok(content)) => ranged(headers, content, tag, content_type),
        Some(Err(_)) => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the file cannot be opened; see the server's log",
        ),
        None => not_found(),
    }
}

/// The response to a request for a file or a part of it.
fn ranged(headers: &HeaderMap, file: Content, tag: Option<&str>, content_type: &'static str) -> Response {
    let len = file.len();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // If-Range with another tag: the part would not fit what the client has.
    let same = text(header::IF_RANGE).is_none_or(|given| Some(given) == tag);
    let range = text(header::RANGE).filter(|_| same);
    let (mut response, content_range) = match wanted(range, len) {
        Wanted::All => (of_type(StatusCode::OK, content_type, file), None),
        Wanted::Part(first, last) => {
            let range = format!("bytes {first}-{last}/{len}");
            let part = file.part(first, last - first + 1);
            let response = of_type(StatusCode::PARTIAL_CONTENT, content_type, part);
            (response, Some(range))
        }
        Wanted::Unsatisfiable => {
            let why = "the range is outside the file";
            let refusal = refuse(StatusCode::RANGE_NOT_SATISFIABLE, why);
            (refusal, Some(format!("bytes */{len}")))
        }
    };
    let there_is = response.status().is_success();
    let head = [
        (header::ACCEPT_RANGES, there_is.then(|| "bytes".to_owned())),
        (header::CONTENT_RANGE, content_range),
        (header::ETAG, tag.filter(|_| there_is).map(str::to_owned)),
    ];
    for (name, value) in head {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no such file")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    of_type(status, "text/plain", Content::Memory(format!("{why}\n").into()))
}

/// The response to bytes that are not a request.
pub(crate) fn bad_request(bad: BadHead) -> Response {
    refuse(bad.status(), &bad.to_string())
}

/// Always with Content-Length: firmware needs it.
fn of_type(status: StatusCode, content_type: &'static str, content: Content) -> Response {
    let len = HeaderValue::from(content.len());
    let mut response = http::Response::new(content);
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(header::CONTENT_LENGTH, len);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let digest = "ab".repeat(32);
        assert_eq!(route("/boot.ipxe"), Route::Script(Language::Ipxe));
        assert_eq!(route("//boot.ipxe"), Route::Script(Language::Ipxe));
        assert_eq!(route("/boot.args"), Route::Script(Language::Words));
        assert_eq!(route("/grub/grub.cfg"), Route::Grub(None));
        assert_eq!(route("//grub/rescue.cfg"), Route::Grub(Some(Choice::Rescue)));
        assert_eq!(route("/grub/x86_64-efi/http.mod"), Route::Nothing);
        assert_eq!(route("/boot/kernel"), Route::BootFile("kernel"));
        assert_eq!(route("//boot//initramfs"), Route::BootFile("initramfs"));
        assert_eq!(route("//grubx64.efi"), Route::BootFile("grubx64.efi"));
        assert_eq!(route("/boot/snponly.efi"), Route::BootFile("snponly.efi"));
        assert_eq!(route("/snponly.efi"), Route::BootFile("snponly.efi"));
        assert_eq!(
            route(&format!("/images/{digest}")),
            Route::Image(digest.parse().unwrap())
        );
        assert_eq!(route("/images/../x"), Route::Nothing);
        assert_eq!(route("/etc/passwd"), Route::Nothing);
        assert_eq!(route(""), Route::BootFile(""));
    }

    #[test]
    fn choice_in_a_query() {
        assert_eq!(
            choice_parameter("mac=x&choice=memory-test"),
            Ok(Some(Choice::MemoryTest))
        );
        assert_eq!(choice_parameter("mac=x"), Ok(None));
        assert_eq!(choice_parameter("choice=shell"), Err(()));
    }

    #[test]
    fn mac_in_a_query() {
        let mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
        for query in [
            "mac=52:54:00:00:00:01",
            "a=b&mac=52-54-00-00-00-01",
            "mac=52%3a54%3A00%3a00%3a00%3a01",
        ] {
            assert_eq!(mac_parameter(query), Some(mac), "{query}");
        }
        for query in [
            "",
            "mac=",
            "mac=x",
            "mac=ff:ff:ff:ff:ff:ff",
            "xmac=52:54:00:00:00:01",
        ] {
            assert_eq!(mac_parameter(query), None, "{query}");
        }
    }

    #[test]
    fn unacknowledged_bytes_have_not_arrived() {
        for (last, sent, lost, failed, told) in [
            (false, 968, 0, false, (968, false)),
            (false, 968, 968, false, (0, true)),
            // The head was not acknowledged either.
            (false, 968, 1200, false, (0, true)),
            (false, 700_000, 100_000, false, (700_000, false)),
            (false, 700_000, 100_000, true, (600_000, true)),
            (true, 1072, 1300, false, (1072, false)),
            (true, 1072, 1300, true, (0, true)),
            (false, 0, 0, false, (0, false)),
        ] {
            let arrived = arrived(last, sent, lost, failed);
            assert_eq!(arrived, told, "{last} {sent} {lost} {failed}");
        }
    }
}
