//! Cycles of files inside a crate: files that use each other, directly or through others.
//!
//! Read from the paths in the sources (`use crate::a::{b, c::D}`, `super::a::f()`). A re-export counts as the
//! file it comes from. A file may use its own ancestors (`mod.rs` above it) freely: they are one unit.

use std::collections::{BTreeMap, BTreeSet};

use crate::{code, crates, sources};

/// The largest cycle that is allowed.
const LIMIT: usize = 3;

/// A path of modules, as its segments; the crate's root is empty.
type Module = Vec<String>;

/// Every `a::b` and `a::{b, c::d}` of a text, one entry for each end.
fn paths(text: &str) -> Vec<Module> {
    let separate = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
    let spaced: String = text
        .replace("::", " :: ")
        .chars()
        .flat_map(|c| match separate(c) {
            true => [' ', c, ' '],
            false => ['\0', c, '\0'],
        })
        .filter(|c| *c != '\0')
        .collect();
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        match is_name(tokens[at]) && (at == 0 || tokens[at - 1] != "::") {
            true => at = tree(&tokens, at, &[], &mut found),
            false => at += 1,
        }
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path with its groups; returns where it ends.
fn tree(tokens: &[&str], mut at: usize, prefix: &[String], found: &mut Vec<Module>) -> usize {
    let token = |at: usize| tokens.get(at).copied().unwrap_or("}");
    let mut path = prefix.to_vec();
    while is_name(token(at)) {
        path.push(token(at).to_owned());
        at += 1;
        if token(at) != "::" {
            break;
        }
        at += 1;
        if token(at) == "{" {
            at += 1;
            while token(at) != "}" {
                at = match is_name(token(at)) {
                    true => tree(tokens, at, &path, found),
                    false => at + 1,
                };
            }
            return at + 1;
        }
    }
    if path.len() > 1 {
        found.push(path);
    }
    at
}

/// The modules of a crate and the paths that each one names.
struct Crate {
    modules: BTreeMap<Module, Vec<Module>>,
}

impl Crate {
    fn read(folder: &str) -> Crate {
        let source = e2e::artefacts::workspace().join(folder).join("src");
        let of = |(path, text): (std::path::PathBuf, String)| {
            let path = path.strip_prefix(&source).unwrap().with_extension("");
            let mut module: Module = path
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
            (module, paths(&code(&text)))
        };
        Crate {
            modules: sources(folder).into_iter().map(of).collect(),
        }
    }

    /// The module that `path` leads to from `module`; `None` if it leaves the crate.
    fn resolve(&self, module: &[String], path: &[String], hops: usize) -> Option<Module> {
        let (mut at, mut rest) = (module.to_vec(), path);
        match path[0].as_str() {
            "crate" => (at, rest) = (Vec::new(), &path[1..]),
            "self" | "super" => {
                while let [first @ ("self" | "super"), ..] =
                    &rest.iter().map(String::as_str).collect::<Vec<_>>()[..]
                {
                    if *first == "super" {
                        at.pop();
                    }
                    rest = &rest[1..];
                }
            }
            child => {
                let child = [module, &[child.to_owned()]].concat();
                self.modules.contains_key(&child).then_some(())?;
            }
        }
        while let [next, ..] = rest {
            let deeper = [&at[..], std::slice::from_ref(next)].concat();
            if !self.modules.contains_key(&deeper) {
                break;
            }
            (at, rest) = (deeper, &rest[1..]);
        }
        let re_exported = rest.first().filter(|_| hops > 0).and_then(|name| {
            let doors = self
                .modules
                .get(&at)?
                .iter()
                .filter(|path| path.last() == Some(name));
            doors
                .filter_map(|path| self.resolve(&at, path, hops - 1))
                .find(|to| *to != at)
        });
        re_exported.or_else(|| self.modules.contains_key(&at).then_some(at))
    }

    fn uses(&self, module: &Module) -> BTreeSet<Module> {
        let named = self.modules[module].iter();
        let mut used: BTreeSet<Module> = named.filter_map(|path| self.resolve(module, path, 4)).collect();
        used.retain(|to| !module.starts_with(to));
        used
    }

    /// Each cycle once, with its files.
    fn cycles(&self) -> BTreeSet<BTreeSet<String>> {
        let uses: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.keys().map(|m| (m, self.uses(m))).collect();
        let reach = |from: &Module| {
            let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
            while let Some(next) = todo.pop() {
                todo.extend(uses[next].iter().filter(|to| seen.insert((*to).clone())));
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.keys().map(|m| (m, reach(m))).collect();
        let cycle = |of: &Module| -> BTreeSet<String> {
            let back = reached[of].iter().filter(|to| reached[*to].contains(of));
            back.map(|module| module.join("/")).collect()
        };
        let cycles = self.modules.keys().map(cycle);
        cycles.filter(|cycle| cycle.len() > 1).collect()
    }
}

#[test]
fn no_cycle_inside_a_crate_has_more_than_three_files() {
    let mut faults = Vec::new();
    for folder in crates() {
        let cycles = Crate::read(&folder).cycles();
        let largest = cycles.iter().map(BTreeSet::len).max().unwrap_or(0);
        if largest > LIMIT {
            faults.push(format!(
                "{folder}: a cycle of {largest} files, {LIMIT} are allowed: {cycles:#?}"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn paths_are_read_with_their_groups() {
    let found: Vec<String> = paths("use crate::a::{b, c::{D, self}};\nlet x = super::e::f(g::H { i: 1 });")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "crate::a::b",
            "crate::a::c::D",
            "crate::a::c::self",
            "super::e::f",
            "g::H"
        ]
    );
}
