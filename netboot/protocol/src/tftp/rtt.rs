//! When to retransmit: RFC 6298 on the measured round trip, with limits for a provisioning network.

use std::time::Duration;

/// Before the first measurement.
const FIRST: Duration = Duration::from_millis(300);
/// RFC 6298 says 1 s, for the Internet. With one block at a time each loss costs this much; a client on a LAN
/// answers within a millisecond, and a needless repeat is simply discarded.
const LEAST: Duration = Duration::from_millis(20);
/// Upper bound of the timeout after repeated losses.
const MOST: Duration = Duration::from_secs(4);

/// The round-trip estimate.
#[derive(Clone, Debug)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    pause: Duration,
    most: Duration,
}

impl RoundTrip {
    /// No measurement yet. `wish`: the client's `timeout` option, an upper limit.
    pub(crate) fn unknown(wish: Option<Duration>) -> RoundTrip {
        RoundTrip {
            smoothed: None,
            variation: Duration::ZERO,
            pause: FIRST,
            most: wish.map_or(MOST, |wish| wish.min(MOST)),
        }
    }

    /// An ACK came `sample` after what it answers was sent, which was sent only once (Karn's rule).
    pub(crate) fn measured(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
        let smoothed = self.smoothed.unwrap_or_default();
        self.pause = (smoothed + self.variation * 4).clamp(LEAST, self.most);
    }

    /// Nothing came: wait twice as long.
    pub(crate) fn back_off(&mut self) {
        self.pause = (self.pause * 2).min(self.most);
    }

    /// How long to wait for an answer.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_network() {
        let ms = Duration::from_millis;
        let mut trip = RoundTrip::unknown(None);
        assert_eq!(trip.pause(), ms(300));
        trip.measured(Duration::from_micros(200));
        assert_eq!(trip.pause(), LEAST);
        for _ in 0..100 {
            trip.measured(ms(100));
        }
        assert!(
            trip.pause() > ms(100) && trip.pause() < ms(150),
            "{:?}",
            trip.pause()
        );
        for _ in 0..10 {
            trip.back_off();
        }
        assert_eq!(trip.pause(), MOST);
        trip.measured(ms(100));
        assert!(trip.pause() < ms(150));
    }

    #[test]
    fn a_clients_timeout_bounds_the_pause() {
        let mut trip = RoundTrip::unknown(Some(Duration::from_secs(1)));
        for _ in 0..10 {
            trip.back_off();
        }
        assert_eq!(trip.pause(), Duration::from_secs(1));
        let mut trip = RoundTrip::unknown(Some(Duration::from_secs(255)));
        for _ in 0..10 {
            trip.back_off();
        }
        assert_eq!(trip.pause(), MOST);
    }
}
