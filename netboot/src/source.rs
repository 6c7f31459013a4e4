//! What netboot asks of the rest of Slipway. It knows no machine, no state and no database: it asks this trait.

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use inventory_api::boot::{BootArgs, BootEvent, BootTarget, Choice};
use inventory_api::{Mac, Sha256Digest, UnixMs};
use netboot_protocol::{ClientKind, Experience, Loader, Menu, Trial};

/// Who asks, as far as the boot service can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootClient {
    /// Hardware address.
    pub mac: Mac,
    /// Address of its lease, once it has one.
    pub ip: Option<Ipv4Addr>,
    /// Name of the configured network it is on.
    pub network: String,
    /// The server's address on that network: URLs are made with it.
    pub server: Ipv4Addr,
    /// When firmware or a loader last asked for this MAC by DHCP, from a port that needs root. `None`: not since the start.
    pub firmware_asked: Option<UnixMs>,
}

/// What a boot script shall do.
#[derive(Clone, Debug)]
pub enum ScriptOrder {
    /// Boot the mini-os with these arguments; the ticket in them was made for this very script.
    MiniOs(Box<BootArgs>),
    /// Boot the local disk.
    LocalDisk,
    /// Run the memory test.
    MemoryTest,
    /// Say why not, and ask again what to boot.
    Refused(String),
    /// Say why the machine is held, and ask again until it is not.
    Held(String),
    /// Nothing: the request is answered with 404 and the firmware goes on by itself.
    Ignore,
    /// Nobody knows now, because something of the server's own failed: 503, and who asks again may get an answer.
    Failed,
}

/// The decisions netboot does not make.
pub trait BootSource: Send + Sync + 'static {
    /// What this machine boots now. Asked for each DHCP message that could carry boot data: changes nothing, is fast.
    fn target(&self, client: &BootClient) -> impl Future<Output = BootTarget> + Send;

    /// Whether the machine with this MAC is enrolled. Asked for every DHCP message: answers from memory. Who knows no
    /// machines says yes to all: then no part of a pool is kept for anybody.
    fn known(&self, mac: Mac) -> bool {
        let _ = mac;
        true
    }

    /// The host name of the machine with this MAC, for option 12. Asked for every answer: answers from memory.
    fn host_name(&self, mac: Mac) -> Option<String> {
        let _ = mac;
        None
    }

    /// The loader whose turn it is for this machine, among those `there_is`; `anew`: its firmware has begun to ask again.
    /// Asked for each message of firmware: answers from memory. Who remembers nothing gives the first of the list.
    fn loader(
        &self,
        mac: Mac,
        kind: ClientKind,
        anew: bool,
        there_is: &(dyn Fn(Loader) -> bool + Sync),
    ) -> Option<Loader> {
        let _ = (mac, anew);
        Trial::default().next(kind, &Experience::default(), there_is)
    }

    /// The machine fetches its boot script from the address of its lease: enrolls it if need be, makes a ticket. Any process on a
    /// machine can fetch: [`BootClient::firmware_asked`] tells whether it is booting.
    fn script(&self, client: &BootClient) -> impl Future<Output = ScriptOrder> + Send;

    /// Kernel arguments of this machine's mini-os, in the place of those of the same name that its network or all machines have.
    fn kernel_args(&self, client: &BootClient) -> impl Future<Output = Vec<String>> + Send {
        let _ = client;
        async { Vec::new() }
    }

    /// The boot menu that goes with the script that this machine is given now. `None`: nobody may choose, and no second is
    /// spent on waiting for a key.
    fn menu(&self, client: &BootClient) -> impl Future<Output = Option<Menu>> + Send {
        let _ = client;
        async { None }
    }

    /// A person at the machine's console chose something else: what it boots then.
    fn chosen(&self, client: &BootClient, choice: Choice) -> impl Future<Output = ScriptOrder> + Send {
        let _ = (client, choice);
        async { ScriptOrder::Refused("there is no boot menu here".to_owned()) }
    }

    /// The file of a public image, for ranges over plain HTTP. `None`: not known or not public.
    fn public_image(&self, digest: Sha256Digest) -> impl Future<Output = Option<PathBuf>> + Send;

    /// Something was heard or answered; kept for `slipway explain`.
    fn heard(&self, event: BootEvent);
}
