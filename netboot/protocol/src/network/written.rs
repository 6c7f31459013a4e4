//! Deserialising configuration values that can be written in several ways.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use inventory_api::Mac;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One value or a list of values.
///
/// # Errors
/// Neither.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Option::<OneOrMany<T>>::deserialize(from).map(|read| match read {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many,
    })
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address or a list of addresses")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// A table by MAC in which each MAC occurs once, however it is spelled.
///
/// # Errors
/// A key is not a MAC, or two keys are the same MAC; both are named.
pub(crate) fn unique<'de, D, A>(from: D) -> Result<BTreeMap<Mac, A>, D::Error>
where
    D: Deserializer<'de>,
    A: Deserialize<'de> + Display,
{
    from.deserialize_map(ByMac(PhantomData))
}

struct ByMac<A>(PhantomData<A>);

impl<'de, A: Deserialize<'de> + Display> Visitor<'de> for ByMac<A> {
    type Value = BTreeMap<Mac, A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table from MAC address to IP address")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut read: BTreeMap<Mac, (String, A)> = BTreeMap::new();
        while let Some((key, address)) = map.next_entry::<String, A>()? {
            let mac: Mac = key.parse().map_err(M::Error::custom)?;
            if let Some((other, at)) = read.get(&mac) {
                return Err(M::Error::custom(format!(
                    "{other:?} ({at}) and {key:?} ({address}) are the same MAC address: keep one of them"
                )));
            }
            read.insert(mac, (key, address));
        }
        Ok(read
            .into_iter()
            .map(|(mac, (_, address))| (mac, address))
            .collect())
    }
}
