//! /proc/cpuinfo, whose lines differ by architecture.

use std::collections::HashSet;

use super::super::clean;
use super::{arm, count};

/// Architectures whose topology has traps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Recognised by "CPU implementer".
    Arm,
    /// Recognised by "clock" or "timebase".
    Power,
    #[default]
    Other,
}

/// Flags people choose machines by, in the kernel's words.
const OF_NOTE: &str = "aes amx_bf16 amx_int8 amx_tile asimd atomics avx avx2 avx512_bf16 avx512_vnni \
                       avx512bw avx512dq avx512f avx512vl avx_vnni fma hypervisor invpcid la57 lm nx \
                       pclmulqdq pcid pdpe1gb rdrand rdseed sev sev_es sev_snp sgx sha_ni sha2 sme smx \
                       sse4_2 svm sve sve2 tdx_host_platform vaes vmx";

/// Facts from /proc/cpuinfo, from the first thread that has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CpuInfo {
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub flags: Vec<String>,
    pub kind: Kind,
    pub family: Option<u32>,
    pub model_number: Option<u32>,
    pub stepping: Option<u32>,
    pub microcode: Option<String>,
    threads: usize,
    /// "physical id" and "core id" of each thread; only where the kernel writes both.
    places: HashSet<(u32, u32)>,
}

impl CpuInfo {
    /// Parses known lines and skips the rest: x86, ARM, POWER, RISC-V, s390, LoongArch, IA-64.
    pub fn parse(text: &str) -> CpuInfo {
        let mut info = CpuInfo::default();
        let (mut package, mut core) = (None, None);
        let (mut arm_implementer, mut arm_core) = ("", None);
        for line in text.lines().chain([""]) {
            let Some((key, value)) = line.split_once(':') else {
                if let (Some(package), Some(core)) = (package.take(), core.take()) {
                    info.places.insert((package, core));
                }
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            match key {
                "processor" => info.threads += 1,
                "vendor_id" | "vendor" | "mvendorid" => first(&mut info.vendor, || clean::fact(value)),
                // ARM implementer numbers are assigned by Arm Ltd.
                "CPU implementer" => {
                    info.kind = Kind::Arm;
                    arm_implementer = value;
                    first(&mut info.vendor, || implementer(value).map(str::to_owned));
                }
                // Follows the implementer. Cores may differ: use the first with a name.
                "CPU part" => arm_core = arm_core.or(arm::core_name(arm_implementer, value)),
                "model name" | "Model Name" | "uarch" => first(&mut info.model, || clean::fact(value)),
                "cpu" => first(&mut info.model, || clean::fact(value)),
                "clock" | "timebase" => info.kind = Kind::Power,
                "flags" | "Features" if info.flags.is_empty() => info.flags = flags_of_note(value),
                "cpu family" | "family" => first(&mut info.family, || value.parse().ok()),
                "model" => first(&mut info.model_number, || value.parse().ok()),
                "stepping" => first(&mut info.stepping, || value.parse().ok()),
                "microcode" => first(&mut info.microcode, || clean::fact(value)),
                "physical id" => package = value.parse().ok(),
                "core id" => core = value.parse().ok(),
                // s390 has one line per thread: "processor 0: version = FF, ...".
                _ if is_s390_thread(key) => info.threads += 1,
                _ => {}
            }
        }
        if let Some(name) = arm_core {
            // Phone kernels write their own name.
            first(&mut info.model, || Some(name.to_owned()));
        }
        if info.kind == Kind::Power {
            // There, "model" is the machine.
            info.model_number = None;
        }
        info
    }

    pub fn sockets(&self) -> Option<u32> {
        let packages: HashSet<u32> = self.places.iter().map(|(package, _)| *package).collect();
        count(packages.len())
    }

    pub fn physical_cores(&self) -> Option<u32> {
        count(self.places.len())
    }

    pub fn threads(&self) -> Option<u32> {
        count(self.threads)
    }
}

/// Sets what is not set yet.
fn first<T>(fact: &mut Option<T>, read: impl FnOnce() -> Option<T>) {
    if fact.is_none() {
        *fact = read();
    }
}

fn is_s390_thread(key: &str) -> bool {
    key.strip_prefix("processor ")
        .is_some_and(|n| n.parse::<u32>().is_ok())
}

/// MIDR_EL1, bits 31:24, with lscpu's names.
fn implementer(code: &str) -> Option<&'static str> {
    Some(match u8::from_str_radix(code.strip_prefix("0x")?, 16).ok()? {
        0x41 => "ARM",
        0x42 => "Broadcom",
        0x43 => "Cavium",
        0x44 => "DEC",
        0x46 => "FUJITSU",
        0x48 => "HiSilicon",
        0x49 => "Infineon",
        0x4d => "Motorola/Freescale",
        0x4e => "NVIDIA",
        0x50 => "APM",
        0x51 => "Qualcomm",
        0x53 => "Samsung",
        0x56 => "Marvell",
        0x61 => "Apple",
        0x66 => "Faraday",
        0x69 => "Intel",
        0x6d => "Microsoft",
        0x70 => "Phytium",
        0xc0 => "Ampere",
        _ => return None,
    })
}

fn flags_of_note(flags: &str) -> Vec<String> {
    let has: HashSet<&str> = flags.split_ascii_whitespace().collect();
    let of_note = OF_NOTE.split(' ').filter(|flag| has.contains(flag));
    let mut found: Vec<String> = of_note.map(str::to_owned).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_s390_is_one_line() {
        let info = CpuInfo::parse(
            "vendor_id       : IBM/S390\n# processors    : 2\nprocessor 0: version = FF,  identification = 18F67,  machine = 2817\n\
             processor 1: version = FF,  identification = 18F67,  machine = 2817\n",
        );
        assert_eq!(info.threads(), Some(2));
        assert_eq!(info.vendor.as_deref(), Some("IBM/S390"));
        assert_eq!((info.model, info.stepping), (None, None));
    }

    #[test]
    fn values_that_are_not_numbers_are_left_out() {
        let info =
            CpuInfo::parse("cpu family : 99999999999\nmodel : sun4v\nstepping : unknown\nmicrocode : \n");
        assert_eq!(
            (info.family, info.model_number, info.stepping, info.microcode),
            (None, None, None, None)
        );
    }

    const TWO_SOCKETS: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold\nphysical id\t: 0\n\
        core id\t\t: 0\nflags\t\t: fpu vmx aes zzz\n\nprocessor\t: 1\nphysical id\t: 1\ncore id\t\t: 0\n\n";

    #[test]
    fn cpuinfo_alone_is_enough_on_x86() {
        let info = CpuInfo::parse(TWO_SOCKETS);
        assert_eq!(
            (info.sockets(), info.physical_cores(), info.threads()),
            (Some(2), Some(2), Some(2))
        );
        assert_eq!(info.flags, ["aes", "vmx"]);
        assert_eq!(info.vendor.as_deref(), Some("GenuineIntel"));
        assert_eq!(CpuInfo::parse("\0\u{fffd}: : :\n::"), CpuInfo::default());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,300}") {
            super::super::fuzz::door(text.as_bytes());
        }

        /// The lines that are parsed, with any value.
        #[test]
        fn any_lines_are_read_without_a_panic(
            lines in proptest::collection::vec(
                (
                    proptest::sample::select(vec![
                        "processor", "vendor_id", "CPU implementer", "model name", "cpu", "clock", "flags", "cpu family",
                        "model", "stepping", "microcode", "physical id", "core id", "processor 0", "",
                    ]),
                    "[0-9a-fx -]{0,20}",
                ),
                0..40,
            ),
        ) {
            let text: String = lines.iter().map(|(key, value)| format!("{key}\t: {value}\n")).collect();
            let info = CpuInfo::parse(&text);
            proptest::prop_assert!(info.threads().unwrap_or(0) as usize <= lines.len());
        }
    }
}
