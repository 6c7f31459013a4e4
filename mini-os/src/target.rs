//! What a mini-os is built for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{IntoDeserializer as _, value};
use serde::{Deserialize, Serialize};

/// How much a mini-os contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Every driver a server may need before its disk is written, with firmware.
    Full,
    /// Drivers of virtual machines and a few common cards, for quick tests.
    Small,
}

impl FromStr for Variant {
    type Err = String;
    fn from_str(text: &str) -> Result<Variant, String> {
        by_name(text)
    }
}

/// Processor architecture of the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    #[default]
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// Debian's name of the architecture.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }

    /// Rust's target for the static agent.
    pub fn rust_target(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-unknown-linux-musl",
            Arch::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// `e_machine` of its ELF programs (EM_X86_64, EM_AARCH64).
    pub(crate) fn elf_machine(self) -> u64 {
        match self {
            Arch::Amd64 => 62,
            Arch::Arm64 => 183,
        }
    }

    /// Its subdirectory of the server's mini-os directory; x86-64 uses the directory itself.
    pub fn directory(self, mini_os: &Path) -> PathBuf {
        match self {
            Arch::Amd64 => mini_os.to_owned(),
            Arch::Arm64 => mini_os.join("arm64"),
        }
    }
}

impl FromStr for Arch {
    type Err = String;
    fn from_str(text: &str) -> Result<Arch, String> {
        by_name(text)
    }
}

/// `Err`: names what is allowed.
fn by_name<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|e: value::Error| e.to_string())
}
