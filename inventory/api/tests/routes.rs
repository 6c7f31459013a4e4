//! docs/api.md and the table of routes name the same requests.

use std::collections::BTreeSet;

fn requests<'a>(text: &'a str, before: &str) -> BTreeSet<(String, &'a str)> {
    let request = |line: &'a str| {
        let (method, rest) = line.split_once(before)?.1.split_once(' ')?;
        let path = rest.trim_start_matches('"').split(['"', '`']).next()?;
        path.starts_with("/v1/").then(|| (method.to_uppercase(), path))
    };
    text.lines().filter_map(request).collect()
}

#[test]
fn every_route_is_documented_and_nothing_else() {
    let table = requests(include_str!("../src/routes.rs"), " = ");
    assert!(table.len() > 40, "{table:?}");
    assert_eq!(requests(include_str!("../../../docs/api.md"), "| `"), table);
}
