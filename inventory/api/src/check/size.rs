//! Sizes as people write them: a number of bytes, or text such as "64 GiB". For memory, "64 GB" means 64 GiB,
//! as on the label of every module; for disks, "960 GB" means 960 000 000 000 bytes, as on the label of every
//! disk.

use serde::de::{Deserializer, Error, Visitor};

/// For `with`: a size of memory.
pub(super) mod memory {
    use serde::{Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        super::bytes(from, true)
    }

    /// "64 GiB" if it divides evenly, else the number.
    pub fn serialize<S: Serializer>(size: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match size {
            None => to.serialize_none(),
            Some(n) if *n > 0 && n.is_multiple_of(1 << 30) => to.serialize_str(&format!("{} GiB", n >> 30)),
            Some(n) if *n > 0 && n.is_multiple_of(1 << 20) => to.serialize_str(&format!("{} MiB", n >> 20)),
            Some(n) => to.serialize_u64(*n),
        }
    }
}

/// For `deserialize_with`: the size of a disk. It is serialised as the number, because two disks of "960 GB"
/// differ in it.
pub(super) fn disk<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    bytes(from, false)
}

fn bytes<'de, D: Deserializer<'de>>(from: D, memory: bool) -> Result<Option<u64>, D::Error> {
    struct Size {
        memory: bool,
    }
    impl Visitor<'_> for Size {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("bytes as a number, or a size such as \"64 GiB\" or \"960 GB\"")
        }

        fn visit_u64<E: Error>(self, n: u64) -> Result<Option<u64>, E> {
            Ok(Some(n))
        }

        fn visit_i64<E: Error>(self, n: i64) -> Result<Option<u64>, E> {
            u64::try_from(n)
                .map(Some)
                .map_err(|_| E::custom(format!("{n} bytes: a size cannot be negative")))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Option<u64>, E> {
            parse(text, self.memory).map(Some).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                E::custom(format!(
                    "{shown:?} is not a size: write bytes, \"64 GiB\" or \"960 GB\""
                ))
            })
        }

        fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Size { memory })
}

/// "64 GiB", "960GB", "1.92 TB", "512": bytes.
fn parse(text: &str, memory: bool) -> Option<u64> {
    let text = text.trim();
    let at = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit: u64 = match unit.trim() {
        "kB" | "KB" if memory => 1 << 10,
        "MB" if memory => 1 << 20,
        "GB" if memory => 1 << 30,
        "TB" if memory => 1 << 40,
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.len() > 9 || part.contains('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let part = match part {
        "" => 0,
        digits => {
            let of = 10_u128.pow(u32::try_from(digits.len()).ok()?);
            u64::try_from(u128::from(digits.parse::<u64>().ok()?) * u128::from(unit) / of).ok()?
        }
    };
    whole.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_as_people_write_them() {
        assert_eq!(parse("64 GiB", false), Some(64 << 30));
        assert_eq!(parse("64 GB", true), Some(64 << 30));
        assert_eq!(parse("960GB", false), Some(960_000_000_000));
        assert_eq!(parse("1.92 TB", false), Some(1_920_000_000_000));
        assert_eq!(parse("1.5 TB", true), Some(3 << 39));
        assert_eq!(parse(" 512 ", false), Some(512));
        for wrong in [
            "",
            "GiB",
            "1 gib",
            "-1 GB",
            "1.2.3 GB",
            "99999999999 TB",
            "1 GB x",
            ".",
        ] {
            assert_eq!(parse(wrong, false), None, "{wrong:?}");
            assert_eq!(parse(wrong, true), None, "{wrong:?}");
        }
    }
}
