//! HTTP boot: scripts, kernel, archives, loaders and public images. GET and HEAD, exact lengths, ranges, no redirects
//! (one stops EDK2), `//x` taken for `/x` (shim asks so), everything else 404.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use inventory_api::boot::{BootEvent, BootEventKind, Choice, ConnectionEnd};
use inventory_api::{Mac, Sha256Digest};
use netboot_protocol::http1::BadHead;
use netboot_protocol::menu::grub_script;
use netboot_protocol::{AUTOEXEC, Network};

use crate::door::Shared;
use crate::files::BootFileBytes;
use crate::log;
use crate::now;
use crate::running::Entered;
use crate::scripts::{Language, NoScript, Script, Scripts};
use crate::send::Content;
use crate::source::BootSource;
use netboot_protocol::range::{Wanted, wanted};
use socket2::Socket;

type Response = http::Response<Content>;

/// A response, and who is to hear of its end.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) heard: Option<Heard>,
}

/// What the boot script of a mini-os names last.
const LAST_FETCHED: &str = "/boot/site";

/// Marks an answer as the last that the machine fetches before it starts something else.
#[derive(Clone, Copy)]
struct Last;

/// A request of a machine in one of our networks.
pub(crate) struct Heard {
    mac: Mac,
    peer: IpAddr,
    network: Option<String>,
    path: String,
    status: u16,
    head: bool,
    /// The last that is fetched: the machine goes on without acknowledging it.
    last: bool,
}

/// HTTP boot for the networks that are reached through one of our addresses.
pub(crate) struct HttpService<S> {
    pub(crate) scripts: Arc<Scripts<S>>,
    pub(crate) shared: Arc<Shared<S>>,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    /// Its own, or what a person chose instead.
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
        // Firmware may ask for a loader beside another one.
        ("boot" | "", name) => Route::BootFile(name),
        ("images", digest) => digest.parse().map_or(Route::Nothing, Route::Image),
        _ => Route::Nothing,
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The `choice` parameter of a query. `Err`: it is none that there is.
fn choice_parameter(query: &str) -> Result<Option<Choice>, ()> {
    parameter(query, "choice").map(str::parse).transpose()
}

/// The `mac` parameter of a query.
fn mac_parameter(query: &str) -> Option<Mac> {
    let mac: Mac = parameter(query, "mac")?
        .replace("%3A", ":")
        .replace("%3a", ":")
        .parse()
        .ok()?;
    (!mac.is_junk()).then_some(mac)
}

impl<S: BootSource> HttpService<S> {
    /// The answer to a request. Its content is not for HEAD.
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
                    refuse(StatusCode::METHOD_NOT_ALLOWED, "a boot script is for GET")
                }
                Route::Script(language) => match choice_parameter(query) {
                    Err(()) => refuse(StatusCode::BAD_REQUEST, "there is no such choice"),
                    Ok(_) if mac.is_none() => refuse(
                        StatusCode::BAD_REQUEST,
                        "a boot script needs ?mac= with the address of the booting NIC",
                    ),
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
                    let bytes = Bytes::from(self.scripts.autoexec(peer));
                    from_memory(bytes, "text/plain", request.headers())
                }
                Route::BootFile(name) => match self.shared.files.get(name, true) {
                    Some(BootFileBytes::Memory(bytes)) => {
                        from_memory(bytes, content_type(name), request.headers())
                    }
                    Some(BootFileBytes::Path(path)) => self.file(&path, None, request.headers()).await,
                    None => not_found(),
                },
                Route::Image(digest) => match self.shared.source.public_image(digest).await {
                    Some(file) => self.file(&file, Some(digest), request.headers()).await,
                    None => not_found(),
                },
                Route::Nothing => not_found(),
            }
        };
        let heard = self.hears_of(request, peer, mac, &response);
        Answer { response, heard }
    }

    async fn file(&self, path: &Path, digest: Option<Sha256Digest>, headers: &HeaderMap) -> Response {
        let opened = async {
            let file = tokio::fs::File::open(path).await?;
            let facts = file.metadata().await?;
            if facts.is_file() {
                Ok((file.into_std().await, facts))
            } else {
                Err(std::io::Error::other("not a regular file"))
            }
        };
        let (file, facts) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                log::paced!(error; "http-file", &path.display().to_string(), false; path = %path.display(), %error, "cannot open a file that is to be served");
                return refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the file cannot be opened, see the server's log",
                );
            }
        };
        let tag = digest.map(|digest| format!("\"{digest}\""));
        let content = |first, count| Content::File { file, first, count };
        ranged(
            headers,
            facts.len(),
            tag.as_deref(),
            "application/octet-stream",
            content,
        )
    }

    fn hears_of(
        &self,
        request: &Request<()>,
        peer: IpAddr,
        says: Option<Mac>,
        response: &Response,
    ) -> Option<Heard> {
        let status = response.status().as_u16();
        // Who asks for another machine's script is heard under the name they gave: that is the machine in danger.
        let refused = if status == 403 {
            says.map(|mac| (None, mac))
        } else {
            None
        };
        let named = |(network, mac): (Option<&Network>, Mac)| (network.map(|n| n.name().to_owned()), mac);
        let (network, mac) = refused
            .or_else(|| self.scripts.machine_at(peer, says).map(named))
            .or_else(|| self.shared.watch.whose(peer))?;
        let path = request.uri().path().replace("//", "/");
        let last = path == LAST_FETCHED || response.extensions().get::<Last>().is_some();
        Some(Heard {
            mac,
            peer,
            network,
            path: path.chars().take(200).collect(),
            status,
            head: request.method() == Method::HEAD,
            last,
        })
    }

    /// An answer with `of` bytes of content begins.
    pub(crate) fn begins(&self, heard: &Heard, of: u64, stream: &Arc<Socket>) -> Entered {
        self.shared
            .watch
            .transfers()
            .enter(heard.peer, &heard.path, of, Some(stream))
    }

    /// Tells the source of a connection that asked for nothing.
    pub(crate) fn broke(&self, peer: IpAddr, end: ConnectionEnd) {
        let what = BootEventKind::Connection {
            port: self.scripts.http_port,
            end,
            detail: None,
        };
        self.shared.heard_from(peer, what);
    }

    /// Tells the source how an answer ended: `sent` bytes of content, of which `lost` were never acknowledged.
    pub(crate) fn tell(&self, heard: Heard, sent: u64, lost: u64, failed: bool) {
        let (bytes, partial) = arrived(heard.last, sent, lost, failed);
        let (mac, status, head) = (heard.mac, heard.status, heard.head);
        let known = self.shared.source.known(mac);
        log::paced!(info; "http", &status.to_string(), known; %mac, path = heard.path, status, bytes, head, partial, "http");
        self.shared.source.heard(BootEvent {
            at: now(),
            mac,
            ip: Some(heard.peer),
            network: heard.network,
            what: BootEventKind::Http {
                path: heard.path,
                bytes,
                status,
                head,
                partial,
            },
        });
    }
}

/// How much of an answer arrived, and whether that is less than all. An end that was not acknowledged counts as arrived, because loaders
/// do not wait for it; a whole answer does not, but for the `last` that they fetch.
fn arrived(last: bool, sent: u64, lost: u64, failed: bool) -> (u64, bool) {
    let partial = failed || (sent > 0 && lost >= sent && !last);
    (if partial { sent.saturating_sub(lost) } else { sent }, partial)
}

fn script_response(made: Result<Script, NoScript>, mac: Option<Mac>, peer: IpAddr) -> Response {
    match made {
        // It has a ticket: no cache may keep it.
        Ok(Script { text, last }) => {
            let mut response = of_type(StatusCode::OK, "text/plain", Content::Memory(text.into()));
            if last {
                response.extensions_mut().insert(Last);
            }
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);
            response
        }
        Err(NoScript::Ignored) => not_found(),
        Err(NoScript::NotTheHolder) => {
            log::paced!(warn; "boot-script", "not-the-holder", false; ?mac, %peer, "boot script refused: the address does not hold this machine's lease");
            refuse(
                StatusCode::FORBIDDEN,
                "a boot script is only given to the address of the machine's lease",
            )
        }
        Err(NoScript::ByIpv6) => {
            log::paced!(warn; "boot-script", "by-ipv6", false; ?mac, %peer, "boot script refused: scripts are given by IPv4 only");
            refuse(
                StatusCode::FORBIDDEN,
                "a boot script is only given by IPv4, to the address of the machine's lease",
            )
        }
        Err(NoScript::OwnDisk) => refuse(StatusCode::CONFLICT, "this machine boots its own disk"),
        Err(NoScript::Broken) => refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the boot script cannot be made, see the log",
        ),
        Err(NoScript::Unavailable) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server cannot make a boot script now; its log says why. Ask again",
        ),
    }
}

/// EDK2 decides by it whether a file is a program, a CD or a disk (UEFI 2.10, 24.7.1; `HttpBootCheckImageType`).
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("efi") => "application/efi",
        Some("iso") => "application/vnd.efi-iso",
        Some("img") => "application/vnd.efi-img",
        _ => "application/octet-stream",
    }
}

fn from_memory(bytes: Bytes, content_type: &'static str, headers: &HeaderMap) -> Response {
    ranged(headers, bytes.len() as u64, None, content_type, |first, count| {
        Content::Memory(bytes.slice(first as usize..(first + count) as usize))
    })
}

/// The response to a request for a file of `len` bytes, or for a part of it. `content`: so many bytes from the first that is wanted.
fn ranged(
    headers: &HeaderMap,
    len: u64,
    tag: Option<&str>,
    content_type: &'static str,
    content: impl FnOnce(u64, u64) -> Content,
) -> Response {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // If-Range with another tag: the part would not fit what the client has.
    let same = text(header::IF_RANGE).is_none_or(|given| Some(given) == tag);
    let range = text(header::RANGE).filter(|_| same);
    let (mut response, content_range) = match wanted(range, len) {
        Wanted::All => (of_type(StatusCode::OK, content_type, content(0, len)), None),
        Wanted::Part(first, last) => {
            let content = content(first, last - first + 1);
            let range = format!("bytes {first}-{last}/{len}");
            (
                of_type(StatusCode::PARTIAL_CONTENT, content_type, content),
                Some(range),
            )
        }
        Wanted::Unsatisfiable => {
            let why = "the range lies outside of the file";
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

/// What to say to bytes that are no request.
pub(crate) fn bad_request(bad: BadHead) -> Response {
    refuse(bad.status(), &bad.to_string())
}

/// With its length, always: firmware cannot do without.
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
    fn what_nobody_acknowledged_has_not_arrived() {
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
