//! Connections that are open, by address: nobody alone keeps the others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of each address. The boot service and the TLS port have one each.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The right to one connection; given back when dropped.
pub struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// A place for one more connection of `address`, while it has fewer than `most`. Loopback is not counted.
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<Place> {
        if !address.is_loopback() {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(address).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Place {
            places: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_connections() {
        const MOST: usize = 64;
        let places = Places::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        let mut taken: Vec<_> = (0..MOST).filter_map(|_| places.enter(one, MOST)).collect();
        assert_eq!(taken.len(), MOST);
        assert!(places.enter(one, MOST).is_none() && places.enter(other, MOST).is_some());
        taken.pop();
        assert!(places.enter(one, MOST).is_some());
        let loopback: Vec<_> = (0..=MOST)
            .filter_map(|_| places.enter("127.0.0.1".parse().unwrap(), MOST))
            .collect();
        assert_eq!(loopback.len(), MOST + 1);
        taken.clear();
        drop(loopback);
        assert!(
            places.0.lock().unwrap().is_empty(),
            "nothing is remembered of who has gone"
        );
    }
}
