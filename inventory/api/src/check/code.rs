//! The codes of findings. They are stable: profiles override severities by code, and histories and exports
//! store them.

use super::Severity;

/// Each code with its severity unless the profile overrides it, and `health` if it applies whatever is
/// expected of a machine.
macro_rules! codes {
    (@health) => { false };
    (@health health) => { true };
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident $(, $health:ident)?;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every code.
        pub const ALL: &[&str] = &[$($text),*];

        /// The severity of a code that the profile does not override. A warning: more parts than ordered,
        /// another place than planned, or wear.
        pub fn severity(code: &str) -> Severity {
            match code {
                $($text => Severity::$severity,)*
                _ => Severity::Error,
            }
        }

        /// Whether a code is about health, which applies whatever is expected of a machine.
        pub fn is_health(code: &str) -> bool {
            match code {
                $($text => codes!(@health $($health)?),)*
                _ => false,
            }
        }
    };
}

codes! {
    /// Other maker or model.
    SYSTEM_OTHER_MODEL = "system-other-model", Error;
    /// Other stock keeping unit of the same model.
    SYSTEM_OTHER_SKU = "system-other-sku", Error;
    /// Other board.
    BOARD_OTHER = "board-other", Error;
    /// Another machine is here (serial number).
    SERIAL_OTHER = "serial-other", Error;
    /// Asset tag.
    ASSET_TAG_OTHER = "asset-tag-other", Error;
    /// Firmware older than expected.
    FIRMWARE_OLDER = "firmware-older", Error;
    /// Firmware newer than, or not comparable with, the exact version expected.
    FIRMWARE_OTHER = "firmware-other", Error;
    /// BMC not seen.
    BMC_MISSING = "bmc-missing", Error;
    /// BMC firmware older.
    BMC_FIRMWARE_OLDER = "bmc-firmware-older", Error;
    /// BMC firmware other.
    BMC_FIRMWARE_OTHER = "bmc-firmware-other", Error;
    /// The BMC's event log has a failure.
    BMC_EVENTS = "bmc-events", Warning, health;
    /// TPM not seen.
    TPM_MISSING = "tpm-missing", Error;
    /// TPM of another version.
    TPM_OTHER = "tpm-other", Error;
    /// Booted by BIOS in place of UEFI, or the other way round.
    BOOT_MODE = "boot-mode", Error;
    /// Secure Boot is off, or on.
    SECURE_BOOT = "secure-boot", Error;
    /// Sensor in alarm or above its critical value.
    SENSOR_ALARM = "sensor-alarm", Warning, health;
    /// Stopped fan.
    FAN_STOPPED = "fan-stopped", Error, health;
    /// Battery that reports failure.
    BATTERY_FAILED = "battery-failed", Warning, health;
    /// Socket empty.
    CPU_MISSING = "cpu-missing", Error;
    /// Processor where none was expected.
    CPU_EXTRA = "cpu-extra", Warning;
    /// Processor switched off in the firmware's setup.
    CPU_DISABLED = "cpu-disabled", Error, health;
    /// Other processor.
    CPU_OTHER_MODEL = "cpu-other-model", Error;
    /// Processor in another socket.
    CPU_MOVED = "cpu-moved", Warning;
    /// Two processors in each other's socket.
    CPU_SWAPPED = "cpu-swapped", Warning;
    /// Firmware has switched cores off.
    CORES_DISABLED = "cores-disabled", Error;
    /// Other number of cores.
    CPU_CORES = "cpu-cores", Error;
    /// Other number of threads: simultaneous multithreading is off or on.
    CPU_THREADS = "cpu-threads", Error;
    /// The same processor in another revision.
    CPU_OTHER_STEPPING = "cpu-other-stepping", Warning;
    /// Microcode older.
    MICROCODE_OLDER = "microcode-older", Error;
    /// Microcode other.
    MICROCODE_OTHER = "microcode-other", Warning;
    /// Vulnerabilities of the processor that the kernel reports.
    CPU_VULNERABLE = "cpu-vulnerable", Info;
    /// Slot empty.
    DIMM_MISSING = "dimm-missing", Error;
    /// Module in a slot where none was expected.
    DIMM_EXTRA = "dimm-extra", Warning;
    /// The module sits in another slot.
    DIMM_MOVED = "dimm-moved", Warning;
    /// Two modules sit in each other's slot.
    DIMM_SWAPPED = "dimm-swapped", Warning;
    /// Smaller module.
    DIMM_SMALLER = "dimm-smaller", Error;
    /// Larger module.
    DIMM_LARGER = "dimm-larger", Warning;
    /// Slower module, or one that runs slower.
    DIMM_SLOW = "dimm-slow", Error;
    /// All modules run slower.
    MEMORY_SLOW = "memory-slow", Error;
    /// Module with another part number or maker.
    DIMM_OTHER_PART = "dimm-other-part", Error;
    /// Module of another kind (DDR generation, ECC, ranks).
    DIMM_OTHER_KIND = "dimm-other-kind", Error;
    /// Total memory.
    MEMORY_TOTAL = "memory-total", Error;
    /// The kernel sees much less memory than is installed.
    MEMORY_LOST = "memory-lost", Warning, health;
    /// Uncorrectable memory errors.
    MEMORY_ERRORS = "memory-errors", Error, health;
    /// Many corrected memory errors.
    MEMORY_CORRECTED = "memory-corrected", Warning, health;
    /// Memory without error correction, or with it.
    MEMORY_ECC = "memory-ecc", Error;
    /// Total persistent memory.
    MEMORY_PERSISTENT = "memory-persistent", Error;
    /// Disk missing.
    DISK_MISSING = "disk-missing", Error;
    /// More disks than expected.
    DISK_EXTRA = "disk-extra", Warning;
    /// Disk in another bay.
    DISK_MOVED = "disk-moved", Warning;
    /// Two disks sit in each other's bay.
    DISK_SWAPPED = "disk-swapped", Warning;
    /// Smaller disk.
    DISK_SMALLER = "disk-smaller", Error;
    /// Larger disk.
    DISK_LARGER = "disk-larger", Warning;
    /// Other model, attachment or kind of disk.
    DISK_OTHER_MODEL = "disk-other-model", Error;
    /// Disk firmware older.
    DISK_FIRMWARE_OLDER = "disk-firmware-older", Error;
    /// Disk firmware other.
    DISK_FIRMWARE_OTHER = "disk-firmware-other", Error;
    /// The disk reports that it is failing.
    DISK_FAILED = "disk-failed", Error, health;
    /// Much of the disk's life is used.
    DISK_WORN = "disk-worn", Warning, health;
    /// Sectors that are reallocated, pending or uncorrectable.
    DISK_ERRORS = "disk-errors", Warning, health;
    /// Errors on the disk's cable.
    DISK_LINK_ERRORS = "disk-link-errors", Warning, health;
    /// Sectors of an unsupported size.
    DISK_FORMAT = "disk-format", Error, health;
    /// Fewer paths to a disk than expected.
    DISK_PATHS = "disk-paths", Warning;
    /// Network port missing.
    NIC_MISSING = "nic-missing", Error;
    /// More network ports than expected.
    NIC_EXTRA = "nic-extra", Warning;
    /// Other network card.
    NIC_OTHER = "nic-other", Error;
    /// Network card in another slot.
    NIC_MOVED = "nic-moved", Warning;
    /// Link slower than expected.
    NIC_SLOW = "nic-slow", Error;
    /// Firmware of a network card older.
    NIC_FIRMWARE_OLDER = "nic-firmware-older", Error;
    /// Firmware of a network card other.
    NIC_FIRMWARE_OTHER = "nic-firmware-other", Error;
    /// Accelerator missing.
    GPU_MISSING = "gpu-missing", Error;
    /// More accelerators than expected.
    GPU_EXTRA = "gpu-extra", Warning;
    /// Other accelerator.
    GPU_OTHER = "gpu-other", Error;
    /// Power supply missing.
    PSU_MISSING = "psu-missing", Error;
    /// More power supplies than expected.
    PSU_EXTRA = "psu-extra", Warning;
    /// Other power supply.
    PSU_OTHER = "psu-other", Error;
    /// Power supply in another bay.
    PSU_MOVED = "psu-moved", Warning;
    /// Power supply without mains.
    PSU_UNPLUGGED = "psu-unplugged", Warning, health;
    /// Power supply reports failure.
    PSU_FAILED = "psu-failed", Error, health;
    /// PCI device missing.
    PCI_MISSING = "pci-missing", Error;
    /// More PCI devices of a kind than expected.
    PCI_EXTRA = "pci-extra", Warning;
    /// PCIe link with fewer lanes or less speed.
    LINK_SLOW = "link-slow", Warning, health;
    /// Device without a driver.
    NO_DRIVER = "no-driver", Warning, health;
    /// Cable in another port of the right switch.
    CABLE_OTHER_PORT = "cable-other-port", Error;
    /// Cable in another switch.
    CABLE_OTHER_SWITCH = "cable-other-switch", Error;
    /// Two cables in each other's port.
    CABLE_SWAPPED = "cable-swapped", Error;
    /// Nothing is heard from the switch.
    CABLE_SILENT = "cable-silent", Warning;
    /// Other native VLAN.
    CABLE_VLAN = "cable-vlan", Error;
    /// More findings than are listed.
    MORE = "more", Error;
}
