//! The codes of findings. They are stable: profiles override severities by code, and histories and exports store them.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// Every code.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

codes! {
    /// Other maker or model.
    SYSTEM_OTHER_MODEL = "system-other-model";
    /// Other stock keeping unit of the same model.
    SYSTEM_OTHER_SKU = "system-other-sku";
    /// Other board.
    BOARD_OTHER = "board-other";
    /// Another machine is here (serial number).
    SERIAL_OTHER = "serial-other";
    /// Asset tag.
    ASSET_TAG_OTHER = "asset-tag-other";
    /// Firmware older than expected.
    FIRMWARE_OLDER = "firmware-older";
    /// Firmware newer than, or not comparable with, the exact version expected.
    FIRMWARE_OTHER = "firmware-other";
    /// BMC not seen.
    BMC_MISSING = "bmc-missing";
    /// BMC firmware older.
    BMC_FIRMWARE_OLDER = "bmc-firmware-older";
    /// BMC firmware other.
    BMC_FIRMWARE_OTHER = "bmc-firmware-other";
    /// The BMC's event log has a failure.
    BMC_EVENTS = "bmc-events";
    /// TPM not seen.
    TPM_MISSING = "tpm-missing";
    /// TPM of another version.
    TPM_OTHER = "tpm-other";
    /// Booted by BIOS in place of UEFI, or the other way round.
    BOOT_MODE = "boot-mode";
    /// Secure Boot is off, or on.
    SECURE_BOOT = "secure-boot";
    /// Sensor in alarm or above its critical value.
    SENSOR_ALARM = "sensor-alarm";
    /// Stopped fan.
    FAN_STOPPED = "fan-stopped";
    /// Battery that reports failure.
    BATTERY_FAILED = "battery-failed";
    /// Socket empty.
    CPU_MISSING = "cpu-missing";
    /// Processor where none was expected.
    CPU_EXTRA = "cpu-extra";
    /// Processor switched off in the firmware's setup.
    CPU_DISABLED = "cpu-disabled";
    /// Other processor.
    CPU_OTHER_MODEL = "cpu-other-model";
    /// Processor in another socket.
    CPU_MOVED = "cpu-moved";
    /// Two processors in each other's socket.
    CPU_SWAPPED = "cpu-swapped";
    /// Firmware has switched cores off.
    CORES_DISABLED = "cores-disabled";
    /// Other number of cores.
    CPU_CORES = "cpu-cores";
    /// Other number of threads: simultaneous multithreading is off or on.
    CPU_THREADS = "cpu-threads";
    /// The same processor in another revision.
    CPU_OTHER_STEPPING = "cpu-other-stepping";
    /// Microcode older.
    MICROCODE_OLDER = "microcode-older";
    /// Microcode other.
    MICROCODE_OTHER = "microcode-other";
    /// Vulnerabilities of the processor that the kernel reports.
    CPU_VULNERABLE = "cpu-vulnerable";
    /// Slot empty.
    DIMM_MISSING = "dimm-missing";
    /// Module in a slot where none was expected.
    DIMM_EXTRA = "dimm-extra";
    /// The module sits in another slot.
    DIMM_MOVED = "dimm-moved";
    /// Two modules sit in each other's slot.
    DIMM_SWAPPED = "dimm-swapped";
    /// Smaller module.
    DIMM_SMALLER = "dimm-smaller";
    /// Larger module.
    DIMM_LARGER = "dimm-larger";
    /// Slower module, or one that runs slower.
    DIMM_SLOW = "dimm-slow";
    /// All modules run slower.
    MEMORY_SLOW = "memory-slow";
    /// Module with another part number or maker.
    DIMM_OTHER_PART = "dimm-other-part";
    /// Module of another kind (DDR generation, ECC, ranks).
    DIMM_OTHER_KIND = "dimm-other-kind";
    /// Total memory.
    MEMORY_TOTAL = "memory-total";
    /// The kernel sees much less memory than is installed.
    MEMORY_LOST = "memory-lost";
    /// Uncorrectable memory errors.
    MEMORY_ERRORS = "memory-errors";
    /// Many corrected memory errors.
    MEMORY_CORRECTED = "memory-corrected";
    /// Memory without error correction, or with it.
    MEMORY_ECC = "memory-ecc";
    /// Total persistent memory.
    MEMORY_PERSISTENT = "memory-persistent";
    /// Disk missing.
    DISK_MISSING = "disk-missing";
    /// More disks than expected.
    DISK_EXTRA = "disk-extra";
    /// Disk in another bay.
    DISK_MOVED = "disk-moved";
    /// Two disks sit in each other's bay.
    DISK_SWAPPED = "disk-swapped";
    /// Smaller disk.
    DISK_SMALLER = "disk-smaller";
    /// Larger disk.
    DISK_LARGER = "disk-larger";
    /// Other model, attachment or kind of disk.
    DISK_OTHER_MODEL = "disk-other-model";
    /// Disk firmware older.
    DISK_FIRMWARE_OLDER = "disk-firmware-older";
    /// Disk firmware other.
    DISK_FIRMWARE_OTHER = "disk-firmware-other";
    /// The disk reports that it is failing.
    DISK_FAILED = "disk-failed";
    /// Much of the disk's life is used.
    DISK_WORN = "disk-worn";
    /// Sectors that are reallocated, pending or uncorrectable.
    DISK_ERRORS = "disk-errors";
    /// Errors on the disk's cable.
    DISK_LINK_ERRORS = "disk-link-errors";
    /// Sectors of an unsupported size.
    DISK_FORMAT = "disk-format";
    /// Fewer paths to a disk than expected.
    DISK_PATHS = "disk-paths";
    /// Network port missing.
    NIC_MISSING = "nic-missing";
    /// More network ports than expected.
    NIC_EXTRA = "nic-extra";
    /// Other network card.
    NIC_OTHER = "nic-other";
    /// Network card in another slot.
    NIC_MOVED = "nic-moved";
    /// Link slower than expected.
    NIC_SLOW = "nic-slow";
    /// Firmware of a network card older.
    NIC_FIRMWARE_OLDER = "nic-firmware-older";
    /// Firmware of a network card other.
    NIC_FIRMWARE_OTHER = "nic-firmware-other";
    /// Accelerator missing.
    GPU_MISSING = "gpu-missing";
    /// More accelerators than expected.
    GPU_EXTRA = "gpu-extra";
    /// Other accelerator.
    GPU_OTHER = "gpu-other";
    /// Power supply missing.
    PSU_MISSING = "psu-missing";
    /// More power supplies than expected.
    PSU_EXTRA = "psu-extra";
    /// Other power supply.
    PSU_OTHER = "psu-other";
    /// Power supply in another bay.
    PSU_MOVED = "psu-moved";
    /// Power supply without mains.
    PSU_UNPLUGGED = "psu-unplugged";
    /// Power supply reports failure.
    PSU_FAILED = "psu-failed";
    /// PCI device missing.
    PCI_MISSING = "pci-missing";
    /// More PCI devices of a kind than expected.
    PCI_EXTRA = "pci-extra";
    /// PCIe link with fewer lanes or less speed.
    LINK_SLOW = "link-slow";
    /// Device without a driver.
    NO_DRIVER = "no-driver";
    /// Cable in another port of the right switch.
    CABLE_OTHER_PORT = "cable-other-port";
    /// Cable in another switch.
    CABLE_OTHER_SWITCH = "cable-other-switch";
    /// Two cables in each other's port.
    CABLE_SWAPPED = "cable-swapped";
    /// Nothing is heard from the switch.
    CABLE_SILENT = "cable-silent";
    /// Other native VLAN.
    CABLE_VLAN = "cable-vlan";
    /// More findings than are listed.
    MORE = "more";
}

/// Codes about health, which apply whatever is expected of a machine.
pub const HEALTH: &[&str] = &[
    CPU_DISABLED,
    MEMORY_LOST,
    MEMORY_ERRORS,
    MEMORY_CORRECTED,
    DISK_FAILED,
    DISK_WORN,
    DISK_ERRORS,
    DISK_LINK_ERRORS,
    DISK_FORMAT,
    LINK_SLOW,
    PSU_FAILED,
    PSU_UNPLUGGED,
    NO_DRIVER,
    FAN_STOPPED,
    SENSOR_ALARM,
    BATTERY_FAILED,
    BMC_EVENTS,
];
