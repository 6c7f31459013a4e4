//! The blocking side of one run of a plan: its steps on the disk and below the mounted root.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use inventory_api::plan::{InstallPlan, Partition, Step};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::area::Area;
use super::disk;
use super::error::{StepError, Tried, fail};
use super::layout::{parse_uuid, partition_step};
use super::link::Credentials;
use super::mounts::{Mounted, unmount_leftovers};
use super::root::Root;
use super::settings::{accounts, agent, boot, cron, fstab, hostname, network, scripts};
use super::site::{Place, Site};
use super::target::Located;
use super::verify::{locate, verify};
use super::{boot_order, erase, ext4, fat, gpt};

/// A run: its target and its mounts. Shared with its threads; when the last one is gone, mounts are undone
/// and the next run may start.
pub(super) struct Run {
    pub plan: InstallPlan,
    pub site: Site,
    credentials: Credentials,
    wrote: AtomicBool,
    // Dropped in this order: first unmount, then let the next run start.
    root: Mutex<Option<NewRoot>>,
    _turn: OwnedMutexGuard<()>,
}

/// The new system's root. The descriptor is dropped before the mount.
struct NewRoot {
    files: Root,
    mounted: Mounted,
}

impl Run {
    pub(super) fn new(
        plan: InstallPlan,
        credentials: Credentials,
        site: Site,
        turn: OwnedMutexGuard<()>,
    ) -> Run {
        Run {
            plan,
            site,
            credentials,
            wrote: AtomicBool::new(false),
            root: Mutex::new(None),
            _turn: turn,
        }
    }

    /// Whether any byte of the disk may have been changed.
    pub(super) fn wrote(&self) -> bool {
        self.wrote.load(Ordering::Relaxed)
    }

    /// Verifies the plan; writes nothing to a disk.
    pub(super) fn prepare(&self) -> Result<(), StepError> {
        unmount_leftovers(&self.site)?;
        self.verified().map(drop)
    }

    fn verified(&self) -> Result<Located, StepError> {
        let disks = self.site.live_disks();
        Ok(verify(&self.plan, &self.credentials.machine, &disks)?)
    }

    /// The plan's disk under its current name, for steps after the first: names may change meanwhile, and the
    /// disk is now in use by ourselves.
    fn located(&self) -> Result<Located, StepError> {
        let mut disks = self.site.live_disks();
        disks.iter_mut().for_each(|d| d.in_use = None);
        Ok(locate(&self.plan.disk, &disks)?)
    }

    fn layout(&self) -> Result<(&str, &[Partition]), StepError> {
        Ok(partition_step(&self.plan)?)
    }

    fn planned(&self, number: u32) -> Result<&Partition, StepError> {
        let found = self.layout()?.1.iter().find(|p| p.number == number);
        found.ok_or_else(|| StepError::new("plan-layout", format!("there is no partition {number}")))
    }

    pub(super) fn partition(&self, number: u32) -> Result<Area, StepError> {
        disk::open_partition(&self.site, &self.located()?, self.planned(number)?)
    }

    /// Mounts a partition, or returns the directory that simulates it.
    fn mount(&self, number: u32, what: Mount) -> Result<Mounted, StepError> {
        match &self.site.place {
            Place::Simulated {
                root_dir, esp_dir, ..
            } => Ok(Mounted::directory(match what {
                Mount::Root => root_dir.clone(),
                Mount::Esp => esp_dir.clone(),
            })),
            Place::Machine { root, mounts } => {
                let (_, node) = disk::partition_node(root, &self.located()?, self.planned(number)?)?;
                match what {
                    Mount::Root => Mounted::kernel(&node, mounts.join("root"), "ext4"),
                    Mount::Esp => Mounted::kernel(&node, mounts.join("esp"), "vfat"),
                }
            }
        }
    }

    fn simulated(&self) -> bool {
        matches!(self.site.place, Place::Simulated { .. })
    }

    fn root(&self) -> MutexGuard<'_, Option<NewRoot>> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the image: sets the file system's UUID, grows it, and keeps it mounted for later steps.
    pub(super) fn adopt_root(&self, number: u32, uuid: &str) -> Result<(), StepError> {
        let uuid = parse_uuid(uuid)
            .ok_or_else(|| StepError::new("plan-layout", "not a UUID"))?
            .into_bytes();
        let area = self.partition(number)?;
        let (superblock, room) = (ext4::read(&area)?, area.len);
        drop(area);
        let mounted = match (superblock, self.simulated()) {
            (None, false) => {
                return fail("image-kind", "the image contains no ext4 file system");
            }
            _ => self.mount(number, Mount::Root)?,
        };
        // A simulated root sets owners too if possible, because the verification checks them.
        let owners = !self.simulated() || nix::unistd::geteuid().is_root();
        let files = Root::open(&mounted.dir, owners, true)?;
        if let (Some(superblock), false) = (superblock, self.simulated()) {
            ext4::adopt(&files, superblock, uuid, room)?;
        }
        *self.root() = Some(NewRoot { files, mounted });
        Ok(())
    }

    /// Does the step with this index, except the image and the boot order.
    pub(super) fn step(&self, index: usize) -> Result<(), StepError> {
        let step = self
            .plan
            .steps
            .get(index)
            .ok_or_else(|| StepError::new("internal", "no such step"))?;
        match step {
            Step::EraseDisk {} => {
                // The last check before the first write.
                let disk = disk::open_disk(&self.site, &self.verified()?, true)?;
                self.wrote.store(true, Ordering::Relaxed);
                let block = u64::from(self.plan.disk.block_bytes);
                let (_, partitions) = self.layout()?;
                let new: Vec<_> = partitions.iter().map(|p| disk::bytes_of(p, block)).collect();
                erase::erase(&disk, block, &new)
            }
            Step::Partition {
                disk_guid,
                partitions,
            } => {
                let located = self.located()?;
                let mut disk = disk::open_disk(&self.site, &located, true)?;
                gpt::write(&mut disk, u64::from(located.block_bytes), disk_guid, partitions)
            }
            Step::MakeFat {
                partition,
                volume_id,
                label,
            } => fat::format(
                &mut self.partition(*partition)?,
                self.plan.disk.block_bytes,
                volume_id,
                label,
            ),
            Step::WriteImage { .. } | Step::BootOrder { .. } => fail("internal", "not a step of this kind"),
            Step::Bootloader {
                bios_partition,
                esp_partition,
                root_uuid,
                kernel_args,
                ..
            } => self.bootloader(*bios_partition, *esp_partition, root_uuid, kernel_args),
            Step::Fstab { mounts } => self.below_root(|root| fstab::apply(root, mounts)),
            Step::Hostname { hostname } => self.below_root(|root| hostname::apply(root, hostname)),
            Step::Network { nics } => self.below_root(|root| network::apply(root, nics)),
            Step::Accounts { accounts } => self.below_root(|root| accounts::apply(root, accounts)),
            Step::Cron { jobs } => self.below_root(|root| cron::apply(root, jobs)),
            Step::Scripts { scripts } => self.below_root(|root| scripts::apply(root, scripts)),
            Step::Agent {} => self.below_root(|root| {
                agent::apply(root, &self.site.agent_exe, &self.credentials, &self.plan.id)
            }),
            Step::Finish {} => self.finish(),
        }
    }

    fn below_root(&self, work: impl FnOnce(&Root) -> Result<(), StepError>) -> Result<(), StepError> {
        match &*self.root() {
            Some(root) => work(&root.files),
            None => fail("internal", "the new root is not mounted"),
        }
    }

    fn bootloader(&self, bios: u32, esp: u32, uuid: &str, args: &[String]) -> Result<(), StepError> {
        self.below_root(|root| {
            // A BIOS cannot boot from disks with other block sizes, so nothing is installed.
            if self.plan.disk.block_bytes == 512 {
                let start = self.planned(bios)?.first_lba * 512;
                let partition = self.partition(bios)?;
                let disk = disk::open_disk(&self.site, &self.located()?, false)?;
                boot::apply_bios(root, &disk, &partition, start)?;
            }
            let mounted = self.mount(esp, Mount::Esp)?;
            let files = Root::open(&mounted.dir, false, false)?;
            boot::apply_uefi(root, &files, uuid)?;
            nix::unistd::syncfs(files.dir_file().tried("disk-write", "open the ESP")?)
                .tried("disk-write", "flush the ESP")?;
            drop(files);
            mounted.unmount()?;
            boot::apply_config(root, uuid, args)
        })
    }

    /// Does the boot order step; returns what became of it. A failure here is not an error: the disk boots
    /// without it.
    pub(super) fn boot_order(&self, esp: u32) -> Result<Option<String>, StepError> {
        let esp = self.planned(esp)?;
        let Place::Machine { root, .. } = &self.site.place else {
            return Ok(None);
        };
        let done = boot_order::apply(&root.join("sys/firmware/efi/efivars"), esp);
        Ok(Some(done.unwrap_or_else(|why| {
            format!("the boot order stays as it was: {why}")
        })))
    }

    /// Flushes, unmounts, and reads back from the medium what is needed for booting.
    fn finish(&self) -> Result<(), StepError> {
        if let Some(NewRoot { files, mounted }) = self.root().take() {
            let dir = files.dir_file().tried("disk-write", "open the new root")?;
            nix::unistd::syncfs(&dir).tried("disk-write", "flush the root file system")?;
            drop((dir, files));
            mounted.unmount()?;
        }
        let located = self.located()?;
        let mut disk = disk::open_disk(&self.site, &located, true)?;
        disk.flush_to_medium().tried("disk-write", "flush the disk")?;
        let (guid, partitions) = self.layout()?;
        gpt::check(&mut disk, u64::from(located.block_bytes), guid, partitions)?;
        drop(disk);
        for step in &self.plan.steps {
            if let Step::WriteImage { partition, uuid, .. } = step {
                self.check_root(*partition, uuid)?;
            }
        }
        Ok(())
    }

    fn check_root(&self, number: u32, uuid: &str) -> Result<(), StepError> {
        let area = self.partition(number)?;
        area.flush_to_medium()
            .tried("disk-read", "drop the cache of the root partition")?;
        let found = ext4::read(&area)?;
        let right = found.is_some_and(|s| Some(Uuid::from_bytes(s.uuid)) == parse_uuid(uuid));
        if right || self.simulated() {
            return Ok(());
        }
        let found = found.map_or("no ext4".to_owned(), |s| format!("UUID {}", hex::encode(s.uuid)));
        fail(
            "read-back",
            format!("the root partition on the disk has {found}, the plan says {uuid}"),
        )
    }
}

#[derive(Clone, Copy)]
enum Mount {
    Root,
    Esp,
}
