//! Compares burn-in results of machines with one hardware profile, to find slow and hot ones.

use inventory_api::burn_in::{BurnInPart, BurnInResult};

use crate::check::Outlier;

/// Fewer machines cannot be compared.
const LEAST: usize = 3;
/// A score below this share of the median is an outlier. Machines of one kind differ by a few percent from
/// run to run; a throttled CPU, a module in the wrong channel or a retrying disk costs a quarter or more.
const SLOW: f64 = 0.8;
/// Degrees above the median of the highest temperatures that make an outlier: a fan or the thermal paste.
const HOT: f64 = 12.0;

/// One figure of all machines that have it.
struct Figure {
    fact: &'static str,
    place: String,
    unit: String,
    values: Vec<(usize, f64)>,
}

/// Compares the newest result of each machine; fewer than three give no outliers.
pub fn compare(machines: &[(String, &BurnInResult)]) -> Vec<Outlier> {
    let mut odd = Vec::new();
    for figure in figures(machines) {
        let Some(median) = median(&figure.values) else {
            continue;
        };
        let hot = figure.unit == "C";
        for (at, value) in &figure.values {
            let differs = match hot {
                true => *value > median + HOT,
                false => *value < median * SLOW,
            };
            if differs {
                odd.push(Outlier::Odd {
                    machine: machines[*at].0.clone(),
                    fact: figure.fact.to_owned(),
                    place: figure.place.clone(),
                    found: format!("{value:.0} {}", figure.unit),
                    usual: format!("about {median:.0} {}", figure.unit),
                    others: figure.values.len() - 1,
                });
            }
        }
    }
    odd
}

fn figures(machines: &[(String, &BurnInResult)]) -> Vec<Figure> {
    let named = |name: &'static str,
                 fact: &'static str,
                 place: &str,
                 value: fn(&BurnInPart) -> Option<f64>,
                 unit: &str| {
        let values = machines.iter().enumerate().filter_map(|(at, (_, result))| {
            let part = result.parts.iter().find(|p| p.name == name)?;
            Some((at, value(part).filter(|v| v.is_finite())?))
        });
        Figure {
            fact,
            place: place.to_owned(),
            unit: unit.to_owned(),
            values: values.collect(),
        }
    };
    let mut figures = vec![
        named("cpu", "burn-in speed", "CPU", |p| p.score, "rounds/s"),
        named("memory", "burn-in speed", "memory", |p| p.score, "MB/s"),
        named(
            "cpu",
            "burn-in temperature",
            "CPU at work",
            |p| p.max_temperature_c,
            "C",
        ),
    ];
    // Disks have different serial numbers on each machine: the fastest are compared with each other, and so
    // on.
    let disks: Vec<Vec<f64>> = machines.iter().map(|(_, result)| disk_scores(result)).collect();
    let most = disks.iter().map(Vec::len).max().unwrap_or(0);
    for nth in 0..most {
        let values = disks
            .iter()
            .enumerate()
            .filter_map(|(at, scores)| Some((at, *scores.get(nth)?)));
        figures.push(Figure {
            fact: "burn-in speed",
            place: format!("disk, number {} by speed", nth + 1),
            unit: "MB/s".to_owned(),
            values: values.collect(),
        });
    }
    figures
}

/// The disks' scores, fastest first.
fn disk_scores(result: &BurnInResult) -> Vec<f64> {
    let disks = result.parts.iter().filter(|p| p.name.starts_with("disk "));
    let mut scores: Vec<f64> = disks.filter_map(|p| p.score.filter(|s| s.is_finite())).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores
}

/// `None` for fewer than three.
fn median(values: &[(usize, f64)]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|(_, v)| *v).collect();
    sorted.sort_by(f64::total_cmp);
    (sorted.len() >= LEAST).then(|| sorted[sorted.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(cpu: f64, memory: f64, celsius: f64, disks: &[f64]) -> BurnInResult {
        let part = |name: String, score: f64| BurnInPart {
            name,
            score: Some(score),
            max_temperature_c: Some(celsius),
            ..BurnInPart::default()
        };
        let mut parts = vec![part("cpu".into(), cpu), part("memory".into(), memory)];
        parts.extend(
            disks
                .iter()
                .enumerate()
                .map(|(n, s)| part(format!("disk S{n}{s}"), *s)),
        );
        BurnInResult {
            parts,
            ..BurnInResult::default()
        }
    }

    fn odd(results: &[BurnInResult]) -> Vec<(String, String)> {
        let named: Vec<(String, &BurnInResult)> = results
            .iter()
            .enumerate()
            .map(|(n, r)| (format!("m{n}"), r))
            .collect();
        let told = compare(&named).into_iter().map(|o| match o {
            Outlier::Odd { machine, place, .. } => (machine, place),
            Outlier::Groups { .. } => panic!("no groups of speeds"),
        });
        told.collect()
    }

    #[test]
    fn only_the_slow_or_hot_machine_is_an_outlier() {
        let sound = || result(1000.0, 9000.0, 61.0, &[3000.0, 520.0]);
        let mut fleet: Vec<BurnInResult> = (0..19).map(|_| sound()).collect();
        assert_eq!(odd(&fleet), []);
        for (planted, place) in [
            (result(700.0, 9000.0, 61.0, &[3000.0, 520.0]), "CPU"),
            (result(1000.0, 4500.0, 61.0, &[3000.0, 520.0]), "memory"),
            (result(1000.0, 9000.0, 88.0, &[3000.0, 520.0]), "CPU at work"),
            (
                result(1000.0, 9000.0, 61.0, &[3000.0, 90.0]),
                "disk, number 2 by speed",
            ),
        ] {
            fleet.push(planted);
            assert_eq!(odd(&fleet), [("m19".to_owned(), place.to_owned())]);
            fleet.pop();
        }
    }

    #[test]
    fn noise_and_fleets_of_two_give_no_outlier() {
        let noise: Vec<BurnInResult> = (0..10)
            .map(|n| {
                result(
                    1000.0 + 10.0 * f64::from(n),
                    9000.0,
                    60.0 + f64::from(n),
                    &[500.0],
                )
            })
            .collect();
        assert_eq!(odd(&noise), []);
        assert_eq!(
            odd(&[result(1.0, 1.0, 1.0, &[]), result(1000.0, 1000.0, 90.0, &[1.0])]),
            []
        );
        let nonsense = result(f64::NAN, f64::INFINITY, f64::NAN, &[f64::NAN]);
        assert_eq!(odd(&[nonsense.clone(), nonsense.clone(), nonsense]), []);
    }
}
