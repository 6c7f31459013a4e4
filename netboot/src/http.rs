//! HTTP boot: scripts, kernel, archives, loaders and public images. GET and HEAD, exact lengths, ranges, no redirects
//! (one stops EDK2), `//x` taken for `/x` (shim asks so), everything else 404.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use bytes::Bytes;
use inventory_api::boot::{BootEvent, BootEventKind, Choice};
use inventory_api::{Mac, Sha256Digest};
use netboot_protocol::AUTOEXEC;
use netboot_protocol::menu::grub_script;

use crate::body::{Buffers, Told, file_body};
use crate::files::{BootFileBytes, Files, Transport};
use crate::now;
use crate::range::{Wanted, wanted};
use crate::scripts::{Language, NoScript, Scripts};
use crate::source::BootSource;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// HTTP boot for the networks that are reached through one of our addresses.
pub(crate) struct HttpService<S> {
    pub(crate) files: Arc<Files>,
    pub(crate) scripts: Arc<Scripts<S>>,
    pub(crate) source: Arc<S>,
    pub(crate) buffers: Buffers,
}

impl<S: BootSource> HttpService<S> {
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(respond::<S>).with_state(Arc::new(self))
    }
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

async fn respond<S: BootSource>(
    State(service): State<Arc<HttpService<S>>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    let mac = mac_parameter(query);
    let response = if method != Method::GET && method != Method::HEAD {
        refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
    } else {
        match route(path) {
            // HEAD would make a ticket that nobody gets.
            Route::Script(_) if method == Method::HEAD => {
                refuse(StatusCode::METHOD_NOT_ALLOWED, "a boot script is for GET")
            }
            Route::Script(language) => match choice_parameter(query) {
                Ok(choice) => service.script(mac, choice, peer, language).await,
                Err(()) => refuse(StatusCode::BAD_REQUEST, "there is no such choice"),
            },
            Route::Grub(choice) => {
                let only_length = method == Method::HEAD;
                let made = service.scripts.for_grub(peer, choice, only_length).await;
                script_response(made, mac, peer)
            }
            Route::BootFile(AUTOEXEC) => {
                let bytes = Bytes::from(service.scripts.autoexec(peer));
                from_memory(bytes, "text/plain", request.headers())
            }
            Route::BootFile(name) => match service.files.get(name, Transport::Http) {
                Some(BootFileBytes::Memory(bytes)) => {
                    from_memory(bytes, content_type(name), request.headers())
                }
                Some(BootFileBytes::Path(path)) => service.file(&path, None, request.headers()).await,
                None => not_found(),
            },
            Route::Image(digest) => match service.source.public_image(digest).await {
                Some(file) => service.file(&file, Some(digest), request.headers()).await,
                None => not_found(),
            },
            Route::Nothing => not_found(),
        }
    };
    service.tell_at_the_end(&path.replace("//", "/"), peer, mac, response)
}

impl<S: BootSource> HttpService<S> {
    async fn script(
        &self,
        mac: Option<Mac>,
        choice: Option<Choice>,
        peer: IpAddr,
        language: Language,
    ) -> Response {
        if mac.is_none() {
            return refuse(
                StatusCode::BAD_REQUEST,
                "a boot script needs ?mac= with the address of the booting NIC",
            );
        }
        let made = self.scripts.make(peer, mac, choice, language).await;
        script_response(made, mac, peer)
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
                tracing::error!(path = %path.display(), %error, "cannot open a file that is to be served");
                return refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the file cannot be opened, see the server's log",
                );
            }
        };
        let tag = digest.map(|digest| format!("\"{digest}\""));
        match part(headers, facts.len(), tag.as_deref()) {
            Err(refusal) => *refusal,
            Ok((first, count, mut response)) => {
                *response.body_mut() = file_body(file, &facts, first, count, &self.buffers);
                response
            }
        }
    }

    /// Has the end of the response told to the source, with the bytes that were really sent.
    fn tell_at_the_end(&self, path: &str, peer: IpAddr, says: Option<Mac>, response: Response) -> Response {
        let status = response.status().as_u16();
        // Who asks for another machine's script is heard under the name they gave: that is the machine in danger.
        let refused = if status == 403 {
            says.map(|mac| (None, mac))
        } else {
            None
        };
        let Some((network, mac)) = refused.or_else(|| self.scripts.machine_at(peer, says)) else {
            return response;
        };
        let network = network.map(|network| network.name().to_owned());
        let path: String = path.chars().take(200).collect();
        let source = self.source.clone();
        response.map(|body| {
            Body::new(Told::new(body, move |bytes| {
                tracing::info!(%mac, path, status, bytes, "http");
                let what = BootEventKind::Http { path, bytes, status };
                source.heard(BootEvent {
                    at: now(),
                    mac,
                    ip: Some(peer),
                    network,
                    what,
                });
            }))
        })
    }
}

/// EDK2 decides by it whether a file is a program, a CD or a disk (UEFI 2.10, 24.7.1; `HttpBootCheckImageType`).
fn script_response(made: Result<String, NoScript>, mac: Option<Mac>, peer: IpAddr) -> Response {
    match made {
        // It has a ticket: no cache may keep it.
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, "text/plain".to_owned()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                // Said and not left to the server's library: it leaves it out of the answer to HEAD.
                (header::CONTENT_LENGTH, text.len().to_string()),
            ];
            (headers, text).into_response()
        }
        Err(NoScript::Ignored) => not_found(),
        Err(NoScript::NotTheHolder) => {
            tracing::warn!(?mac, %peer, "boot script refused: the address does not hold this machine's lease");
            refuse(
                StatusCode::FORBIDDEN,
                "a boot script is only given to the address of the machine's lease",
            )
        }
        Err(NoScript::ByIpv6) => {
            tracing::warn!(?mac, %peer, "boot script refused: scripts are given by IPv4 only");
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
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("efi") => "application/efi",
        Some("iso") => "application/vnd.efi-iso",
        Some("img") => "application/vnd.efi-img",
        _ => "application/octet-stream",
    }
}

fn from_memory(bytes: Bytes, content_type: &'static str, headers: &HeaderMap) -> Response {
    match part(headers, bytes.len() as u64, None) {
        Err(refusal) => *refusal,
        Ok((first, count, mut response)) => {
            let first = first as usize;
            *response.body_mut() = Body::from(bytes.slice(first..first + count as usize));
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                header::HeaderValue::from_static(content_type),
            );
            response
        }
    }
}

/// First byte, count and the head of the response to a request for a file of `len` bytes.
fn part(headers: &HeaderMap, len: u64, tag: Option<&str>) -> Result<(u64, u64, Response), Box<Response>> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // If-Range with another tag: the part would not fit what the client has.
    let same = text(header::IF_RANGE).is_none_or(|given| Some(given) == tag);
    let range = text(header::RANGE).filter(|_| same);
    let (status, first, count, content_range) = match wanted(range, len) {
        Wanted::All => (StatusCode::OK, 0, len, None),
        Wanted::Part(first, last) => (
            StatusCode::PARTIAL_CONTENT,
            first,
            last - first + 1,
            Some(format!("bytes {first}-{last}/{len}")),
        ),
        Wanted::Unsatisfiable => {
            let mut refusal = refuse(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "the range lies outside of the file",
            );
            if let Ok(value) = format!("bytes */{len}").parse() {
                refusal.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Err(Box::new(refusal));
        }
    };
    let mut response = status.into_response();
    let head = [
        (header::CONTENT_TYPE, Some("application/octet-stream".to_owned())),
        (header::CONTENT_LENGTH, Some(count.to_string())),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
        (header::CONTENT_RANGE, content_range),
        (header::ETAG, tag.map(str::to_owned)),
    ];
    for (name, value) in head {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok((first, count, response))
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no such file")
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain")], format!("{why}\n")).into_response()
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
}
