//! The invariants of ARCHITECTURE.md, as far as a test can see them in the sources and the dependency graph.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::artefacts::workspace;
use serde_json::Value;

/// Crates that decide and touch nothing.
const PURE: &[&str] = &["files", "inventory-api", "lifecycle", "netboot-protocol", "words"];

/// Folders of all crates that are shipped.
const ROOMS: &[&str] = &[
    "agent",
    "images",
    "inventory",
    "inventory/api",
    "inventory/cli",
    "inventory/client",
    "inventory/config",
    "inventory/files",
    "inventory/http",
    "inventory/lifecycle",
    "inventory/service",
    "inventory/store",
    "inventory/tls",
    "inventory/ui",
    "inventory/words",
    "mini-os",
    "netboot",
    "netboot/protocol",
];

/// What a pure crate must not reach, directly or through others.
const IMPURE: &[&str] = &[
    "async-std",
    "async-tftp",
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rustls",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tempfile",
    "tokio",
    "uuid",
];

/// Words of the standard library that touch the world, in a pure crate's own code.
const WORLDLY: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "Message::default()",
    "v4::Message::new(",
    "std::env",
    "SystemTime",
    "Instant::now",
];

/// Package name -> names of its dependencies of kind normal or build, for the workspace's lock file.
struct Graph {
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Graph {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--offline"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(workspace())
            .output()
            .expect("cargo metadata runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let name_of: BTreeMap<&str, &str> = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (p["id"].as_str().unwrap(), p["name"].as_str().unwrap()))
            .collect();
        let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let entry = dependencies
                .entry(name_of[node["id"].as_str().unwrap()].to_owned())
                .or_default();
            for dep in node["deps"].as_array().unwrap() {
                let used = dep["dep_kinds"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|k| k["kind"].as_str() != Some("dev"));
                if used {
                    entry.insert(name_of[dep["pkg"].as_str().unwrap()].to_owned());
                }
            }
        }
        Graph { dependencies }
    }

    /// Everything below a package; what is only below one of `except` is left out.
    fn reach_except(&self, package: &str, except: &[&str]) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![package.to_owned()];
        while let Some(next) = todo.pop() {
            for dep in &self.dependencies[&next] {
                if seen.insert(dep.clone()) && !except.contains(&dep.as_str()) {
                    todo.push(dep.clone());
                }
            }
        }
        seen
    }

    fn reach(&self, package: &str) -> BTreeSet<String> {
        self.reach_except(package, &[])
    }
}

/// The sources of a folder of the workspace, without what its sub-crates hold, as (path, text without tests).
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut found, mut tests) = (Vec::new(), Vec::new());
    let mut todo = vec![workspace().join(folder).join("src")];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                tests.extend(test_modules(&path, &text));
                found.push((path, code(&text)));
            }
        }
    }
    found.retain(|(path, _)| !tests.iter().any(|t| path.with_extension("").starts_with(t)));
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

/// What a file declares as a module of tests, `#[cfg(test)] mod name;`: its path without the extension.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let dir = match path.file_stem().and_then(|s| s.to_str()) {
        Some("mod" | "lib" | "main") => path.parent().unwrap().to_owned(),
        _ => path.with_extension(""),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| pair[1].split_once("mod ")?.1.strip_suffix(';'))
        .map(|name| dir.join(name))
        .collect()
}

/// The text without comments and without its test module.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    product
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn folder_of(package: &str) -> &'static str {
    match package {
        "files" => "inventory/files",
        "inventory-api" => "inventory/api",
        "lifecycle" => "inventory/lifecycle",
        "netboot-protocol" => "netboot/protocol",
        "words" => "inventory/words",
        other => panic!("{other} is not a pure crate"),
    }
}

/// Places where one of `words` stands, as "path: word".
fn places(sources: &[(PathBuf, String)], words: &[&str], allowed: impl Fn(&Path) -> bool) -> Vec<String> {
    sources
        .iter()
        .filter(|(path, _)| !allowed(path))
        .flat_map(|(path, text)| {
            words
                .iter()
                .filter(|w| text.contains(**w))
                .map(|w| format!("{}: {w}", path.display()))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn pure_crates_reach_nothing_that_touches_the_world() {
    let graph = Graph::read();
    for package in PURE {
        // dhcproto is a codec; it links rand for one constructor that picks a transaction id, which no server calls.
        let reached = graph.reach_except(package, &["dhcproto"]);
        let bad: Vec<_> = IMPURE.iter().filter(|i| reached.contains(**i)).collect();
        assert!(bad.is_empty(), "{package} reaches {bad:?}");
        let bad = places(&sources(folder_of(package)), WORLDLY, |_| false);
        assert!(bad.is_empty(), "{package} touches the world: {bad:#?}");
    }
    // The lists above mean something: a crate that serves does reach them.
    assert!(graph.reach("netboot").contains("tokio"));
}

/// Each crate of ours, and those of ours that it may name in its Cargo.toml. ARCHITECTURE.md has the same list.
const ARROWS: &[(&str, &[&str])] = &[
    ("agent", &["inventory-api"]),
    (
        "cli",
        &[
            "files",
            "images",
            "inventory-api",
            "inventory-client",
            "lifecycle",
            "mini-os",
            "words",
        ],
    ),
    (
        "config",
        &[
            "inventory-api",
            "lifecycle",
            "netboot",
            "netboot-protocol",
            "words",
        ],
    ),
    ("files", &["inventory-api", "lifecycle"]),
    ("images", &["inventory-api", "mini-os"]),
    (
        "inventory",
        &[
            "cli",
            "config",
            "images",
            "inventory-api",
            "inventory-http",
            "mini-os",
            "netboot",
            "netboot-protocol",
            "service",
            "store",
            "tls",
            "ui",
            "words",
        ],
    ),
    ("inventory-api", &[]),
    ("inventory-client", &["inventory-api"]),
    (
        "inventory-http",
        &["files", "inventory-api", "lifecycle", "service", "tls"],
    ),
    ("lifecycle", &["inventory-api"]),
    ("mini-os", &["inventory-api"]),
    ("netboot", &["inventory-api", "netboot-protocol"]),
    ("netboot-protocol", &["inventory-api"]),
    (
        "service",
        &[
            "config",
            "files",
            "images",
            "inventory-api",
            "lifecycle",
            "mini-os",
            "netboot",
            "netboot-protocol",
            "store",
            "tls",
            "words",
        ],
    ),
    (
        "store",
        &["inventory-api", "lifecycle", "netboot-protocol", "words"],
    ),
    ("tls", &["inventory-api", "netboot"]),
    (
        "ui",
        &["files", "inventory-api", "lifecycle", "service", "tls", "words"],
    ),
    ("words", &["inventory-api", "lifecycle", "netboot-protocol"]),
];

#[test]
fn crates_use_only_what_the_picture_shows() {
    let graph = Graph::read();
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(package, _)| *package).collect();
    assert_eq!(ours.len(), ROOMS.len(), "a crate is missing in one of the lists");
    for (package, allowed) in ARROWS {
        let uses: BTreeSet<&str> = graph.dependencies[*package].iter().map(String::as_str).collect();
        let uses: BTreeSet<&str> = uses.intersection(&ours).copied().collect();
        assert_eq!(uses, allowed.iter().copied().collect(), "{package}");
        assert!(!graph.reach(package).contains("e2e"), "{package} uses the tests");
    }
    assert!(
        !graph.reach("inventory").contains("agent"),
        "the server must not contain the agent"
    );
}

#[test]
fn sql_stands_only_in_the_store() {
    for folder in ROOMS {
        let bad = places(
            &sources(folder),
            &["sqlx::", "SELECT ", "INSERT INTO", "DELETE FROM"],
            |path| path.starts_with(workspace().join("inventory/store")),
        );
        assert!(bad.is_empty(), "SQL outside of inventory/store: {bad:#?}");
    }
}

#[test]
fn only_main_reads_arguments_and_environment_or_ends_the_process() {
    let words = [
        "std::env::args",
        "env::args()",
        "env::var",
        "std::env::vars",
        "process::exit",
        "Parser::parse()",
        "::parse_from",
    ];
    for folder in ROOMS {
        let bad = places(&sources(folder), &words, |path| path.ends_with("src/main.rs"));
        assert!(
            bad.is_empty(),
            "only the main.rs of inventory and agent may: {bad:#?}"
        );
    }
    for folder in ROOMS.iter().filter(|f| !["agent", "inventory"].contains(f)) {
        assert!(
            !workspace().join(folder).join("src/main.rs").exists(),
            "{folder} has a main.rs"
        );
    }
}

#[test]
fn only_lifecycle_makes_a_state_and_no_transition_has_a_catch_all() {
    let transition: Vec<_> = sources("inventory/lifecycle")
        .into_iter()
        .filter(|(path, _)| {
            path.components()
                .any(|c| c.as_os_str().to_string_lossy().starts_with("transition"))
        })
        .collect();
    assert!(!transition.is_empty(), "lifecycle has no transition module");
    let bad = places(&transition, &["_ =>"], |_| false);
    assert!(bad.is_empty(), "a transition with a catch-all arm: {bad:#?}");
}
