//! How long to wait before trying again.

use std::time::Duration;

/// The pause before retry `attempt` (1 is the first): doubles from `first` up to `cap`, reduced by up to half
/// by `random`, so that a rack of machines does not return in step after a server outage.
pub fn pause(attempt: u32, first: Duration, cap: Duration, random: u32) -> Duration {
    let full = first
        .saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1)))
        .min(cap);
    let part = f64::from(random) / f64::from(u32::MAX);
    full.mul_f64(1.0 - part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_spreads() {
        let (first, cap) = (Duration::from_millis(500), Duration::from_secs(15));
        let whole: Vec<u128> = (1..=7).map(|n| pause(n, first, cap, 0).as_millis()).collect();
        assert_eq!(whole, [500, 1000, 2000, 4000, 8000, 15000, 15000]);
        assert_eq!(pause(3, first, cap, u32::MAX).as_millis(), 1000);
        for attempt in [0, 31, 32, 33, u32::MAX] {
            let p = pause(attempt, first, cap, 7);
            assert!(p <= cap && p >= first / 2, "{attempt} {p:?}");
        }
    }
}
