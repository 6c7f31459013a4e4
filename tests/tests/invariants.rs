//! The invariants of ARCHITECTURE.md, as far as sources and dependency graph show them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::artefacts::workspace;
use serde_json::Value;

#[path = "invariants/cycles.rs"]
mod cycles;

/// The folders of all crates but the tests.
fn crates() -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members = members.iter().map(|member| member.as_str().unwrap().to_owned());
    members.filter(|member| !member.starts_with("tests")).collect()
}

/// The table "Allowed arrows" of ARCHITECTURE.md: what each crate may use of ours, directly.
const ALLOWED: &[(&str, &[&str])] = &[
    ("agent", &["agent-install", "agent-report", "inventory-api"]),
    ("agent-install", &["inventory-api"]),
    ("agent-report", &["inventory-api"]),
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
    ("mini-os", &[]),
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

/// Crates that decide and touch nothing.
const PURE: &[&str] = &["files", "inventory-api", "lifecycle", "netboot-protocol", "words"];

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
];

/// Parts of the standard library that touch the world; a pure crate's own code has none of them.
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

/// Normal and build dependencies by package name, as the lock file has them.
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

    /// Everything a package depends on, except what it reaches only through one of `except`.
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

/// The sources of one crate as (path, text without tests); crates in its subfolders are not included.
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

/// The test modules that a file declares (`#[cfg(test)] mod name;`), as paths without the extension.
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

fn package_of(folder: &str) -> String {
    let text = std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

fn folder_of(package: &str) -> String {
    let found = crates().into_iter().find(|folder| package_of(folder) == package);
    found.unwrap_or_else(|| panic!("{package} is not in the workspace"))
}

/// Where the sources contain one of `words`, as "path: word".
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
        // dhcproto is a codec. It links rand for a constructor that picks a transaction id, which a server
        // never calls.
        let reached = graph.reach_except(package, &["dhcproto"]);
        let bad: Vec<_> = IMPURE.iter().filter(|i| reached.contains(**i)).collect();
        assert!(bad.is_empty(), "{package} reaches {bad:?}");
        let bad = places(&sources(&folder_of(package)), WORLDLY, |_| false);
        assert!(bad.is_empty(), "{package} touches the world: {bad:#?}");
    }
    // The lists above catch something: a crate that serves does reach tokio.
    assert!(graph.reach("netboot").contains("tokio"));
}

#[test]
fn crates_use_only_what_architecture_allows() {
    let graph = Graph::read();
    let ours: BTreeSet<&str> = ALLOWED.iter().map(|(package, _)| *package).collect();
    let packages = crates();
    let packages: Vec<String> = packages.iter().map(|folder| package_of(folder)).collect();
    let packages: BTreeSet<&str> = packages.iter().map(String::as_str).collect();
    assert_eq!(
        packages, ours,
        "each crate has a row in ALLOWED and in ARCHITECTURE.md"
    );
    for (package, allowed) in ALLOWED {
        let uses = graph.dependencies[*package].iter().map(String::as_str);
        let uses: BTreeSet<&str> = uses.filter(|used| ours.contains(used)).collect();
        assert_eq!(uses, allowed.iter().copied().collect(), "{package}");
        assert!(!graph.reach(package).contains("e2e"), "{package} uses the tests");
    }
    assert!(
        !graph.reach("inventory").contains("agent"),
        "the server must not contain the agent"
    );
}

#[test]
fn sql_is_only_in_the_store() {
    for folder in crates() {
        let words = ["sqlx::", "SELECT ", "INSERT INTO", "DELETE FROM"];
        let store = workspace().join("inventory/store");
        let bad = places(&sources(&folder), &words, |path| path.starts_with(&store));
        assert!(bad.is_empty(), "SQL outside of the store: {bad:#?}");
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
    for folder in crates() {
        let bad = places(&sources(&folder), &words, |path| path.ends_with("src/main.rs"));
        assert!(bad.is_empty(), "only a main.rs may: {bad:#?}");
        let main = workspace().join(&folder).join("src/main.rs");
        let expected = ["agent", "inventory"].contains(&folder.as_str());
        assert_eq!(main.exists(), expected, "{}", main.display());
    }
}

#[test]
fn only_advance_stores_a_state() {
    let advance = workspace().join("inventory/service/src/turn/advance.rs");
    for folder in crates().iter().filter(|folder| *folder != "inventory/store") {
        let bad = places(&sources(folder), &[".put_state(", ".add_machine("], |path| {
            path == advance
        });
        assert!(bad.is_empty(), "a state is stored outside of advance: {bad:#?}");
    }
}

#[test]
fn only_turn_opens_a_transaction_of_the_server() {
    // `slipway token` works on the database while no server runs.
    let allowed = ["inventory/service/src/turn/mod.rs", "inventory/src/tokens.rs"];
    for folder in crates().iter().filter(|folder| *folder != "inventory/store") {
        let bad = places(&sources(folder), &["store.begin("], |path| {
            allowed.iter().any(|file| path == workspace().join(file))
        });
        assert!(bad.is_empty(), "a transaction that is no Turn: {bad:#?}");
    }
}

/// The libraries that Slipway is built on by decision of its owner.
#[test]
fn the_chosen_libraries_are_used() {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let known = manifest["workspace"]["dependencies"].as_table().unwrap();
    let manifests: Vec<String> = crates()
        .iter()
        .map(|folder| std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap())
        .collect();
    for library in [
        "tokio",
        "dhcproto",
        "async-tftp",
        "sysinfo",
        "smbios-lib",
        "nix",
        "axum",
        "serde",
    ] {
        assert!(known.contains_key(library), "{library} is not in Cargo.toml");
        let line = format!("{library}.workspace");
        let table = format!("{library} = {{");
        let used = |m: &String| m.contains(&line) || m.contains(&table);
        assert!(manifests.iter().any(used), "no crate uses {library}");
    }
}

/// In the table "Where is X decided?" each path exists: from the root, from inventory/, or beside or above
/// the path before it.
#[test]
fn architecture_names_files_that_exist() {
    let text = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let (_, map) = text.split_once("## Where is X decided?").unwrap();
    let (map, _) = map.split_once("\n## ").unwrap();
    let (mut missing, mut seen) = (Vec::new(), 0);
    for row in map.lines().filter(|line| line.starts_with('|')) {
        let mut beside = workspace();
        for name in row.split('`').skip(1).step_by(2).filter(|name| {
            let path = name.contains('/') || name.ends_with(".rs");
            path && !name.starts_with('/') && !name.contains(['*', ' ', '(', ':'])
        }) {
            let near = beside.ancestors().take_while(|folder| *folder != workspace());
            let mut places = near
                .map(Path::to_owned)
                .chain([workspace(), workspace().join("inventory")]);
            match places.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists())) {
                Some(found) if found.is_dir() => beside = found,
                Some(found) => found.parent().unwrap().clone_into(&mut beside),
                None => missing.push(format!("{name} in {row}")),
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "the table was not read: {seen} paths");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Comments and documents have at most 110 columns, but for tables, code, and words that cannot be broken.
#[test]
fn comments_and_documents_fit_the_page() {
    let mut long = Vec::new();
    let listed = Command::new("git")
        .args(["ls-files", "*.rs", "*.md"])
        .current_dir(workspace())
        .output()
        .unwrap();
    for file in String::from_utf8(listed.stdout).unwrap().lines() {
        let Ok(text) = std::fs::read_to_string(workspace().join(file)) else {
            continue;
        };
        let document = file.ends_with(".md");
        let mut code = false;
        for (number, line) in text.lines().enumerate() {
            let start = line.trim_start();
            let inner = start.trim_start_matches(['/', '!']).trim_start();
            code ^= inner.starts_with("```");
            let prose = if document {
                !start.starts_with(['|', '#'])
            } else {
                start.starts_with("//") && !inner.starts_with('|')
            };
            let breaks = inner.split(' ').any(|word| word.len() > 60);
            if prose && !code && !breaks && line.chars().count() > 110 {
                long.push(format!("{file}:{}", number + 1));
            }
        }
    }
    assert!(long.is_empty(), "{} lines: {long:#?}", long.len());
}

#[test]
fn no_transition_has_a_catch_all_arm() {
    let transition: Vec<_> = sources("inventory/lifecycle")
        .into_iter()
        .filter(|(path, _)| {
            path.components()
                .any(|c| c.as_os_str().to_string_lossy().starts_with("transition"))
        })
        .collect();
    assert!(!transition.is_empty(), "lifecycle has no transition module");
    let bad = places(&transition, &["_ =>"], |_| false);
    assert!(bad.is_empty(), "a catch-all arm: {bad:#?}");
}

/// The folders of the agent and what each may not use.
#[test]
fn the_agents_folders_use_only_what_the_picture_shows() {
    let graph = Graph::read();
    let reached = graph.reach("agent-report");
    for heavy in ["tokio", "reqwest", "rustls"] {
        assert!(!reached.contains(heavy), "the collectors reach {heavy}");
    }
    let agent = sources("agent");
    for (folder, forbidden) in [
        ("init", &["resident", "burn_in"][..]),
        (
            "resident",
            &["init", "screen", "burn_in", "install::execute", "install::wipe"],
        ),
        ("session", &["init", "resident"]),
        ("proof", &["init", "resident", "session", "screen", "burn_in"]),
        (
            "burn_in",
            &[
                "init", "resident", "session", "proof", "install", "console", "screen",
            ],
        ),
        (
            "screen",
            &[
                "init", "resident", "session", "proof", "install", "report", "console",
            ],
        ),
    ] {
        let mut inside = agent.clone();
        inside.retain(|(path, _)| path.starts_with(workspace().join("agent/src").join(folder)));
        assert!(!inside.is_empty(), "agent/src/{folder} is where it was");
        let words: Vec<String> = forbidden.iter().map(|name| format!("crate::{name}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let bad = places(&inside, &words, |_| false);
        assert!(
            bad.is_empty(),
            "agent/src/{folder} uses what it must not: {bad:#?}"
        );
    }
}
