//! Rate limits for log lines: what anybody can cause must not fill a disk or push out an alarm.

use std::collections::BTreeMap;

use inventory_api::UnixMs;

/// How many lines of one kind and reason are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Lines in one period. More is a flood; its burst is repaid by one line per period, so that floods cost
    /// no more than that in the long run, whatever their rhythm.
    pub burst: u32,
    /// The period, in ms.
    pub period: i64,
}

/// For what happens at each boot: a rack of forty machines is not a flood.
pub const EACH_SECOND: Pace = Pace {
    burst: 50,
    period: 1000,
};
/// For a lasting state.
pub const EACH_MINUTE: Pace = Pace {
    burst: 1,
    period: 60_000,
};

/// Kinds and reasons tracked separately; any more share one line per kind.
const MOST: usize = 512;

struct Count {
    pace: Pace,
    period: i64,
    /// Lines that may still be written in this period.
    allowed: u32,
    seen: u32,
    left_out: u64,
}

impl Count {
    /// Moves on to a later period.
    fn turn(&mut self, period: i64) {
        if self.seen > self.pace.burst {
            self.allowed = 0;
        }
        let passed = u32::try_from(period - self.period).unwrap_or(1);
        self.allowed = self.allowed.saturating_add(passed).min(self.pace.burst);
        (self.period, self.seen) = (period, 0);
    }
}

/// What was written and left out, by kind and reason.
#[derive(Default)]
pub struct Lines(BTreeMap<(&'static str, String), Count>);

/// Lines left out that no later line reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The line's kind.
    pub kind: &'static str,
    /// The line's reason.
    pub reason: String,
    /// Lines left out.
    pub count: u64,
}

impl Lines {
    /// Nothing written yet.
    pub const fn new() -> Lines {
        Lines(BTreeMap::new())
    }

    /// Whether to write a line, and how many like it were left out since the last one.
    pub fn admit(&mut self, kind: &'static str, reason: &str, pace: Pace, now: UnixMs) -> Option<u64> {
        let reason = if self.0.len() < MOST || self.0.contains_key(&(kind, reason.to_owned())) {
            reason
        } else {
            "other"
        };
        let period = now.0.div_euclid(pace.period);
        let count = self.0.entry((kind, reason.to_owned())).or_insert(Count {
            pace,
            period,
            allowed: pace.burst,
            seen: 0,
            left_out: 0,
        });
        if period != count.period {
            count.turn(period);
        }
        count.seen = count.seen.saturating_add(1);
        if count.seen <= count.allowed {
            Some(std::mem::take(&mut count.left_out))
        } else {
            count.left_out += 1;
            None
        }
    }

    /// What was left out of floods that have ended. Call it every second.
    pub fn ended(&mut self, now: UnixMs) -> Vec<LeftOut> {
        let idle = |count: &Count| now.0.div_euclid(count.pace.period) - count.period;
        let ended = self.0.iter_mut();
        let ended = ended.filter(|(_, count)| idle(count) > 1 && count.left_out > 0);
        let told = ended
            .map(|((kind, reason), count)| LeftOut {
                kind,
                reason: reason.clone(),
                count: std::mem::take(&mut count.left_out),
            })
            .collect();
        // After as many periods as a burst has lines, the burst is repaid.
        self.0
            .retain(|_, count| idle(count) <= i64::from(count.pace.burst));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_and_all_is_counted() {
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
        assert!(
            lines.ended(UnixMs(9000)).is_empty() && lines.0.len() == 1,
            "it can return"
        );
        assert!(lines.ended(UnixMs(60_000)).is_empty() && lines.0.is_empty());
    }

    #[test]
    fn a_booting_rack_is_logged_completely() {
        let mut lines = Lines::new();
        for second in 0..60 {
            for n in 0..50 {
                let admitted = lines.admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(second * 1000 + n));
                assert_eq!(admitted, Some(0));
            }
        }
        // After a flood, one line per second of flood, until the burst is available again.
        for _ in 0..5000 {
            lines.admit("dhcp", "discover:offer", EACH_SECOND, UnixMs(60_000));
        }
        for (second, told) in [(61i64, 1), (62, 2), (72, 12), (109, 49), (110, 50), (111, 50)] {
            let at = |n: i64| UnixMs(second * 1000 + n);
            let admitted = (0..50).filter(|n| {
                lines
                    .admit("dhcp", "discover:offer", EACH_SECOND, at(*n))
                    .is_some()
            });
            assert_eq!(admitted.count(), told, "{second}");
        }
    }

    #[test]
    fn a_flood_costs_one_line_a_second_in_any_rhythm() {
        // Flooded seconds, quiet seconds, and messages in a flooded second.
        for (flooded, quiet, messages) in [(1, 0, 51), (1, 1, 51), (1, 2, 500), (3, 7, 60), (1, 30, 200)] {
            let (mut lines, mut written) = (Lines::new(), 0);
            for second in 0..1000 {
                if second % (flooded + quiet) < flooded {
                    for n in 0..messages {
                        let at = UnixMs(second * 1000 + n % 1000);
                        written += i64::from(lines.admit("tftp", "not-found", EACH_SECOND, at).is_some());
                    }
                }
                lines.ended(UnixMs(second * 1000 + 999));
            }
            assert!(written <= 1000 + 50, "{flooded} {quiet} {messages}: {written}");
        }
    }

    #[test]
    fn kinds_are_independent_and_bounded() {
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
