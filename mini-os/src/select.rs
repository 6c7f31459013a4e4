//! Which modules go into which variant. Paths are those of `modules.dep`; dependencies are added
//! automatically.

use crate::Variant;

/// In `full`, besides [`SMALL`]: everything below these paths.
const FULL: &[&str] = &[
    // Network cards, their PHYs, and USB network: a BMC's host interface is one.
    "kernel/drivers/net/ethernet/",
    "kernel/drivers/net/phy/",
    "kernel/drivers/net/mdio/",
    "kernel/drivers/net/usb/",
    "kernel/drivers/net/hyperv/",
    "kernel/drivers/net/xen-netfront.ko",
    "kernel/drivers/net/fjes/",
    "kernel/drivers/net/bonding/",
    "kernel/net/8021q/",
    // Storage: SATA, SAS, RAID controllers, Fibre Channel, NVMe, virtual.
    "kernel/drivers/ata/",
    "kernel/drivers/scsi/",
    "kernel/drivers/message/fusion/",
    "kernel/drivers/nvme/host/nvme-core.ko",
    "kernel/drivers/block/xen-blkfront.ko",
    "kernel/drivers/block/mtip32xx/",
    "kernel/drivers/md/md-mod.ko",
    "kernel/drivers/md/raid0.ko",
    "kernel/drivers/md/raid1.ko",
    "kernel/drivers/md/raid10.ko",
    "kernel/drivers/md/raid456.ko",
    "kernel/drivers/md/dm-mod.ko",
    "kernel/drivers/mmc/",
    "kernel/drivers/usb/storage/",
    "kernel/drivers/nvdimm/",
    "kernel/drivers/acpi/nfit/",
    // The buses these are on.
    "kernel/drivers/pci/",
    "kernel/drivers/hv/",
    "kernel/drivers/vmd/",
    "kernel/drivers/usb/host/",
    "kernel/drivers/usb/core/",
    "kernel/drivers/usb/common/",
    "kernel/drivers/hid/hid.ko",
    "kernel/drivers/hid/hid-generic.ko",
    "kernel/drivers/hid/usbhid/",
    "kernel/drivers/input/serio/",
    "kernel/drivers/input/keyboard/atkbd.ko",
    // File systems that the installer makes and mounts.
    // Facts for the report: BMC, TPM, memory errors, sensors, SPD behind the SMBus, watchdogs.
    "kernel/drivers/char/ipmi/",
    "kernel/drivers/char/hw_random/",
    "kernel/drivers/edac/",
    "kernel/drivers/hwmon/",
    "kernel/drivers/i2c/busses/i2c-i801.ko",
    "kernel/drivers/i2c/busses/i2c-ismt.ko",
    "kernel/drivers/i2c/busses/i2c-piix4.ko",
    "kernel/drivers/i2c/busses/i2c-designware-platform.ko",
    "kernel/drivers/i2c/busses/i2c-designware-pci.ko",
    "kernel/drivers/misc/eeprom/",
    "kernel/drivers/firmware/",
    "kernel/drivers/watchdog/iTCO_wdt.ko",
    "kernel/drivers/watchdog/i6300esb.ko",
    "kernel/drivers/watchdog/hpwdt.ko",
    "kernel/drivers/watchdog/sp5100_tco.ko",
    "kernel/drivers/mfd/lpc_ich.ko",
    "kernel/drivers/mfd/intel-lpss-pci.ko",
    // The clock that survives a reboot, on ARM; on x86 its driver is built in.
    "kernel/drivers/rtc/rtc-efi.ko",
    "kernel/drivers/rtc/rtc-pl031.ko",
    // crc32c and others: ext4 and NVMe request them by name at run time, so modules.dep does not list them.
    "kernel/crypto/crc64_rocksoft",
];

/// Left out of `full`: not for servers, or large and of no use before a disk is written.
const NOT_FULL: &[&str] = &[
    // Switch chips and test drivers, not network cards.
    "kernel/drivers/net/ethernet/mellanox/mlxsw/",
    "kernel/drivers/net/ethernet/marvell/prestera/",
    "kernel/drivers/net/ethernet/netronome/nfp/nfp_test",
    // Cards from the days of PCMCIA and ISA.
    "kernel/drivers/net/ethernet/8390/pcnet_cs.ko",
    "kernel/drivers/net/ethernet/8390/axnet_cs.ko",
    "kernel/drivers/net/ethernet/amd/nmclan_cs.ko",
    "kernel/drivers/net/ethernet/fujitsu/",
    "kernel/drivers/net/ethernet/smsc/smc91c92_cs.ko",
    "kernel/drivers/net/ethernet/xircom/",
    "kernel/drivers/net/ethernet/3com/3c574_cs.ko",
    "kernel/drivers/net/ethernet/3com/3c589_cs.ko",
    "kernel/drivers/scsi/pcmcia/",
    "kernel/drivers/ata/pata_pcmcia.ko",
    // Mobile broadband and phones.
    "kernel/drivers/net/usb/hso.ko",
    "kernel/drivers/net/usb/qmi_wwan.ko",
    "kernel/drivers/net/usb/cdc_mbim.ko",
    "kernel/drivers/net/usb/huawei_cdc_ncm.ko",
    "kernel/drivers/net/usb/sierra_net.ko",
    "kernel/drivers/net/usb/ipheth.ko",
    "kernel/drivers/net/usb/cdc-phonet.ko",
    "kernel/drivers/usb/host/whci",
    // Network storage, storage targets, and what only a running system uses.
    "kernel/drivers/scsi/cxgbi/",
    "kernel/drivers/scsi/bnx2i/",
    "kernel/drivers/scsi/qedi/",
    "kernel/drivers/scsi/libiscsi",
    "kernel/drivers/scsi/iscsi",
    "kernel/drivers/scsi/be2iscsi/",
    "kernel/drivers/scsi/fcoe/",
    "kernel/drivers/scsi/bnx2fc/",
    "kernel/drivers/scsi/qedf/",
    "kernel/drivers/scsi/device_handler/",
    "kernel/drivers/scsi/osst.ko",
    "kernel/drivers/scsi/st.ko",
    "kernel/drivers/scsi/scsi_debug.ko",
    "kernel/drivers/scsi/elx/",
    "kernel/drivers/pci/pcie/",
];

/// In both variants: for virtual machines and the most common cards.
const SMALL: &[&str] = &[
    "kernel/drivers/net/virtio_net.ko",
    "kernel/drivers/net/ethernet/intel/e1000/",
    "kernel/drivers/net/ethernet/intel/e1000e/",
    "kernel/drivers/net/ethernet/intel/igb/",
    "kernel/drivers/net/ethernet/realtek/8139",
    "kernel/drivers/net/vmxnet3/",
    "kernel/net/packet/",
    "kernel/drivers/virtio/",
    "kernel/drivers/block/virtio_blk.ko",
    "kernel/drivers/block/loop.ko",
    "kernel/drivers/scsi/virtio_scsi.ko",
    "kernel/drivers/scsi/sd_mod.ko",
    "kernel/drivers/scsi/sg.ko",
    "kernel/drivers/ata/ahci.ko",
    "kernel/drivers/ata/ata_piix.ko",
    "kernel/drivers/ata/ata_generic.ko",
    "kernel/drivers/nvme/host/nvme.ko",
    "kernel/drivers/scsi/megaraid/megaraid_sas.ko",
    "kernel/drivers/scsi/mpt3sas/",
    "kernel/fs/ext4/",
    "kernel/fs/fat/",
    "kernel/fs/nls/nls_cp437.ko",
    "kernel/fs/nls/nls_iso8859-1.ko",
    "kernel/fs/nls/nls_ascii.ko",
    "kernel/fs/nls/nls_utf8.ko",
    "kernel/fs/efivarfs/",
    "kernel/drivers/char/hw_random/virtio-rng.ko",
    "kernel/drivers/char/ipmi/ipmi_si.ko",
    "kernel/drivers/char/ipmi/ipmi_devintf.ko",
    "kernel/drivers/hwmon/coretemp.ko",
    "kernel/drivers/hwmon/k10temp.ko",
    "kernel/drivers/hwmon/drivetemp.ko",
    "kernel/drivers/scsi/ses.ko",
    "kernel/drivers/char/tpm/",
    "kernel/arch/x86/crypto/crc32",
    "kernel/arch/x86/crypto/crct10dif",
    "kernel/crypto/crc32",
    "kernel/crypto/crct10dif",
    "kernel/lib/crc",
];

/// Whether the variant asks for this module itself.
pub(crate) fn chosen(variant: Variant, path: &str) -> bool {
    let below = |list: &[&str]| list.iter().any(|prefix| path.starts_with(prefix));
    match variant {
        Variant::Full => below(SMALL) || (below(FULL) && !below(NOT_FULL)),
        Variant::Small => below(SMALL),
    }
}

/// Packages with the firmware that the variant's modules may request (component non-free-firmware).
pub(crate) fn firmware_packages(variant: Variant) -> &'static [&'static str] {
    match variant {
        Variant::Full => &[
            "firmware-bnx2",
            "firmware-bnx2x",
            "firmware-cavium",
            "firmware-misc-nonfree",
            "firmware-myricom",
            "firmware-netxen",
            "firmware-qlogic",
            "firmware-realtek",
        ],
        Variant::Small => &[],
    }
}
