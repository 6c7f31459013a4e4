//! How often a line of the log is written: what anybody can cause must not fill a disk, nor push out an alarm.

use std::collections::BTreeMap;

use inventory_api::UnixMs;

/// How many lines of one kind and reason are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In one period; more is a flood, in which one line a period is written until a period has fewer.
    pub burst: u32,
    /// The period, in ms.
    pub period: i64,
}

/// For what happens with each boot: a rack of forty machines is no flood.
pub const EACH_SECOND: Pace = Pace {
    burst: 50,
    period: 1000,
};
/// For a state that lasts.
pub const EACH_MINUTE: Pace = Pace {
    burst: 1,
    period: 60_000,
};

/// Kinds and reasons that are told apart; what comes after them shares one line for each kind.
const MOST: usize = 512;

#[derive(Default)]
struct Count {
    pace_period: i64,
    period: i64,
    seen: u32,
    flood: bool,
    left_out: u64,
}

/// What was written and what was left out, by kind and reason.
#[derive(Default)]
pub struct Lines(BTreeMap<(&'static str, String), Count>);

/// Lines that were left out, and that no later line tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Kind.
    pub kind: &'static str,
    /// Reason.
    pub reason: String,
    /// How many.
    pub count: u64,
}

impl Lines {
    /// Nothing was written yet.
    pub const fn new() -> Lines {
        Lines(BTreeMap::new())
    }

    /// Whether a line is written, and how many like it were left out since the last one.
    pub fn admit(&mut self, kind: &'static str, reason: &str, pace: Pace, now: UnixMs) -> Option<u64> {
        let reason = if self.0.len() < MOST || self.0.contains_key(&(kind, reason.to_owned())) {
            reason
        } else {
            "other"
        };
        let count = self.0.entry((kind, reason.to_owned())).or_default();
        let period = now.0.div_euclid(pace.period);
        if period != count.period || count.pace_period != pace.period {
            count.flood = count.seen > pace.burst && period == count.period + 1;
            (count.period, count.pace_period, count.seen) = (period, pace.period, 0);
        }
        count.seen = count.seen.saturating_add(1);
        let most = if count.flood { 1 } else { pace.burst };
        if count.seen <= most {
            Some(std::mem::take(&mut count.left_out))
        } else {
            count.left_out += 1;
            None
        }
    }

    /// What was left out of floods that have ended. To be asked every second.
    pub fn ended(&mut self, now: UnixMs) -> Vec<LeftOut> {
        let over = |count: &Count| now.0.div_euclid(count.pace_period.max(1)) > count.period + 1;
        let ended = self
            .0
            .iter()
            .filter(|(_, count)| over(count) && count.left_out > 0);
        let told = ended
            .map(|((kind, reason), count)| LeftOut {
                kind,
                reason: reason.clone(),
                count: count.left_out,
            })
            .collect();
        self.0.retain(|_, count| !over(count));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_a_second_with_all_counted() {
        let mut lines = Lines::new();
        let (mut written, mut told) = (0u64, 0u64);
        for ms in 0..6000 {
            for _ in 0..40 {
                if let Some(left_out) = lines.admit("tftp", "not-found", EACH_SECOND, UnixMs(ms)) {
                    written += 1;
                    told += left_out;
                }
            }
            assert!(ms % 1000 != 500 || lines.ended(UnixMs(ms)).is_empty());
        }
        assert_eq!(written, 50 + 5, "the first second's burst, then one a second");
        let ended = lines.ended(UnixMs(7000));
        assert_eq!(ended.len(), 1);
        assert_eq!(written + told + ended[0].count, 6000 * 40);
        assert!(lines.ended(UnixMs(9000)).is_empty() && lines.0.is_empty());
    }

    #[test]
    fn a_rack_that_boots_is_told_of_whole() {
        let mut lines = Lines::new();
        for second in 0..60 {
            for n in 0..50 {
                let admitted = lines.admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(second * 1000 + n));
                assert_eq!(admitted, Some(0));
            }
        }
        // After a flood, and a second without one, too.
        for _ in 0..5000 {
            lines.admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(60_000));
        }
        assert!(
            lines
                .admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(61_000))
                .is_some()
        );
        assert_eq!(
            lines.admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(61_001)),
            None
        );
        for n in 0..50 {
            assert!(
                lines
                    .admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(62_000 + n))
                    .is_some()
            );
        }
    }

    #[test]
    fn kinds_are_apart_and_bounded() {
        let mut lines = Lines::new();
        for n in 0..10_000 {
            lines.admit("network", &n.to_string(), EACH_MINUTE, UnixMs(0));
        }
        assert!(lines.0.len() <= MOST + 1);
        assert_eq!(lines.admit("network", "9999", EACH_MINUTE, UnixMs(1)), None);
        assert_eq!(lines.admit("network", "1", EACH_MINUTE, UnixMs(59_999)), None);
        assert_eq!(lines.admit("network", "1", EACH_MINUTE, UnixMs(60_000)), Some(1));
    }
}
