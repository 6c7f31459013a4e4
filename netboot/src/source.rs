//! What netboot asks of the rest of Slipway. Netboot knows no machines, states or database; it asks this
//! trait.

use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use inventory_api::boot::{BootArgs, BootEvent, BootTarget, Choice};
use inventory_api::{Mac, Sha256Digest, UnixMs};
use netboot_protocol::{ClientKind, Experience, Loader, Menu, Trial};

/// The client, as far as the boot service can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootClient {
    /// MAC address.
    pub mac: Mac,
    /// Address of its lease, once it has one.
    pub ip: Option<Ipv4Addr>,
    /// Name of the configured network it is on.
    pub network: String,
    /// The server's address on that network, used in URLs.
    pub server: Ipv4Addr,
    /// When firmware or a loader with this MAC last sent DHCP from a privileged port. `None`: not since the
    /// server started.
    pub firmware_asked: Option<UnixMs>,
}

/// What a boot script should do.
#[derive(Clone, Debug)]
pub enum BootInstruction {
    /// Boot the mini-os with these arguments; their ticket was made for this very script.
    MiniOs(Box<BootArgs>),
    /// Boot the local disk.
    LocalDisk,
    /// Run the memory test.
    MemoryTest,
    /// Show why not, and ask again what to boot.
    Refused(String),
    /// Show why the machine is held, and ask again until it is not.
    Held(String),
    /// Nothing: answer 404, and the firmware goes on by itself.
    Ignore,
    /// An internal error: answer 503; a retry may succeed.
    Failed,
}

/// The decisions netboot does not make.
pub trait BootSource: Send + Sync + 'static {
    /// What this machine boots now. Called for each DHCP message that could carry boot data: must be fast and
    /// change nothing.
    fn target(&self, client: &BootClient) -> impl Future<Output = BootTarget> + Send;

    /// Whether the machine with this MAC is enrolled. Called for every DHCP message: answer from memory.
    /// Default: everybody is known, so no share of the pool is reserved.
    fn known(&self, _mac: Mac) -> bool {
        true
    }

    /// The host name of the machine with this MAC, for option 12. Called for every answer: answer from
    /// memory.
    fn host_name(&self, _mac: Mac) -> Option<String> {
        None
    }

    /// The loader to try next for this machine, among those `available`; `_restarted`: its firmware has
    /// started over. Called for each message of firmware: answer from memory. Default: the first of the list.
    fn loader(
        &self,
        _mac: Mac,
        kind: ClientKind,
        _restarted: bool,
        available: &(dyn Fn(Loader) -> bool + Sync),
    ) -> Option<Loader> {
        Trial::default().next(kind, &Experience::default(), available)
    }

    /// The machine fetches its boot script from its leased address: enrol it if need be, make a ticket. Any
    /// process on a machine can fetch; [`BootClient::firmware_asked`] tells whether the machine is booting.
    fn script(&self, client: &BootClient) -> impl Future<Output = BootInstruction> + Send;

    /// Kernel arguments of this machine's mini-os. They replace arguments of the same name set for its
    /// network or for all machines.
    fn kernel_args(&self, _client: &BootClient) -> impl Future<Output = Vec<String>> + Send {
        async { Vec::new() }
    }

    /// The boot menu for the script this machine is given now. `None`: no menu, and no time is spent waiting
    /// for a key.
    fn menu(&self, _client: &BootClient) -> impl Future<Output = Option<Menu>> + Send {
        async { None }
    }

    /// What to boot after a person at the console chose something from the menu.
    fn chosen(&self, _client: &BootClient, _choice: Choice) -> impl Future<Output = BootInstruction> + Send {
        async { BootInstruction::Refused("there is no boot menu".to_owned()) }
    }

    /// The file of a public image, for ranges over plain HTTP. `None`: not known or not public.
    fn public_image(&self, digest: Sha256Digest) -> impl Future<Output = Option<PathBuf>> + Send;

    /// Records what was heard or answered, for `slipway explain`.
    fn heard(&self, event: BootEvent);
}
