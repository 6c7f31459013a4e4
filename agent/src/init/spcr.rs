//! The firmware's own console, from ACPI's Serial Port Console Redirection Table (Microsoft, revision 1.10).
//! It finds the remote console where that is not the port on the kernel command line. Pure except for
//! [`console`].

use std::path::Path;

use crate::report::{attribute, names, read_bounded};

/// Longest table read; real ones have 80 to 90 bytes.
const LIMIT: u64 = 4096;
const TABLE: &str = "/sys/firmware/acpi/tables/SPCR";

/// The port as the table describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    /// The file below /sys/class/tty that holds the address: `port` for ports in I/O space, `iomem_base` for
    /// others.
    file: &'static str,
    address: u64,
    /// Bits per second; absent: keep the firmware's setting.
    baud: Option<u32>,
}

/// Parses a table. None: not such a table, or no port (address 0 means that redirection is off).
fn parse(table: &[u8]) -> Option<Port> {
    let byte = |at: usize| table.get(at).copied();
    if table.get(..4)? != b"SPCR" {
        return None;
    }
    // Generic address structure at 40: space, width, offset, access size, address.
    let address = u64::from_le_bytes(table.get(44..52)?.try_into().ok()?);
    let file = match byte(40)? {
        _ if address == 0 => return None,
        0 => "iomem_base",
        1 => "port",
        _ => return None,
    };
    let baud = match byte(58)? {
        3 => Some(9600),
        4 => Some(19_200),
        6 => Some(57_600),
        7 => Some(115_200),
        _ => None,
    };
    Some(Port { file, address, baud })
}

/// The kernel's name of a port, e.g. "ttyS1", found by the hexadecimal address below `tty` (/sys/class/tty).
fn name(tty: &Path, file: &str, address: u64) -> Option<String> {
    names(tty).into_iter().find(|name| {
        let text = attribute(&tty.join(name).join(file)).unwrap_or_default();
        let hex = text.trim_start_matches("0x").trim_start_matches("0X");
        u64::from_str_radix(hex, 16) == Ok(address)
    })
}

/// Name and speed of the firmware's console, where this kernel has a driver for it.
pub(super) fn console() -> Option<(String, Option<u32>)> {
    let (table, _) = read_bounded(Path::new(TABLE), LIMIT).ok()?;
    let port = parse(&table)?;
    let name = name(Path::new("/sys/class/tty"), port.file, port.address)?;
    Some((name, port.baud))
}

/// Reads any bytes as the table.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    parse(bytes);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn table(space: u8, address: u64, baud: u8) -> Vec<u8> {
        let mut table = vec![0; 80];
        table[..4].copy_from_slice(b"SPCR");
        table[40] = space;
        table[44..52].copy_from_slice(&address.to_le_bytes());
        table[58] = baud;
        table
    }

    #[test]
    fn the_table_gives_port_and_speed() {
        let port = |file, address, baud| Some(Port { file, address, baud });
        assert_eq!(parse(&table(1, 0x2f8, 7)), port("port", 0x2f8, Some(115_200)));
        assert_eq!(
            parse(&table(0, 0x900_0000, 0)),
            port("iomem_base", 0x900_0000, None)
        );
        assert_eq!(
            parse(&table(0, 0xfe21_5040, 3)),
            port("iomem_base", 0xfe21_5040, Some(9600))
        );
        // Switched off; in PCI configuration space; truncated; another table.
        for none in [
            table(1, 0, 7),
            table(2, 0x2f8, 7),
            table(1, 0x2f8, 7)[..50].to_vec(),
            vec![0; 80],
        ] {
            assert_eq!(parse(&none), None);
        }
    }

    #[test]
    fn the_kernels_name_of_a_port() {
        let dir = tempfile::tempdir().unwrap();
        for (name, port, memory) in [
            ("ttyS0", "0x3F8\n", "0x0\n"),
            ("ttyS1", "0x2F8\n", "0x0\n"),
            ("ttyAMA0", "0x0\n", "0x9000000\n"),
        ] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("port"), port).unwrap();
            fs::write(dir.path().join(name).join("iomem_base"), memory).unwrap();
        }
        fs::create_dir(dir.path().join("tty0")).unwrap();
        let of = |file, address| name(dir.path(), file, address);
        assert_eq!(of("port", 0x2f8).as_deref(), Some("ttyS1"));
        assert_eq!(of("iomem_base", 0x900_0000).as_deref(), Some("ttyAMA0"));
        assert_eq!((of("port", 0x3e8), of("iomem_base", 0x2f8)), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn any_table_is_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..90)) {
            parse(&[&b"SPCR"[..], &bytes].concat());
        }
    }
}
