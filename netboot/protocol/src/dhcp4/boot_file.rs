//! Which boot file a DHCPv4 client gets.

use crate::boot::architecture::ClientKind;
use crate::boot::loader::Loader;
use crate::boot::{BootFile, BootUrls};
use crate::dhcp4::client::PxeClient;

/// The boot file for a client, by kind and architecture. The script decides whether it boots the mini-os or
/// the local disk: firmware that gets no boot file at all loses about a minute in timeouts.
pub fn boot_file(client: &PxeClient, urls: &BootUrls) -> BootFile {
    let loader = client.loader.or(Loader::list(client.kind).first().copied());
    let of = |loader: Option<Loader>, file: &dyn Fn(Loader) -> BootFile| loader.map_or(BootFile::None, file);
    let tftp = |loader: Loader| BootFile::Tftp(loader.file().into());
    let http = |loader: Loader| BootFile::Http(urls.file(loader.file()));
    match client.kind {
        ClientKind::Bios | ClientKind::UefiX64 => of(loader, &tftp),
        ClientKind::UefiX64Http => of(loader, &http),
        // Not every server has a loader and a mini-os for it: only if the caller chose one.
        ClientKind::UefiArm64 => of(client.loader, &tftp),
        ClientKind::UefiArm64Http => of(client.loader, &http),
        ClientKind::Ipxe { http: true, .. } | ClientKind::SlipwayStage { ipxe: true } => {
            BootFile::Script(urls.script(client.mac))
        }
        // An iPXE built without HTTP: give it our loader, which has it.
        ClientKind::Ipxe { http: false, efi } => {
            let x86 = !efi || client.architectures.iter().any(|arch| matches!(arch, 7 | 9));
            of(loader.filter(|_| x86), &tftp)
        }
        ClientKind::OtherFirmware(_) | ClientKind::SlipwayStage { ipxe: false } | ClientKind::Other => {
            BootFile::None
        }
    }
}
