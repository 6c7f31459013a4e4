//! Which kernel modules serve a device, and in which order they load: pure functions of the files that
//! depmod(8) writes.

use std::collections::{HashMap, HashSet};

/// The content of `modules.dep`, `modules.alias` and `modules.softdep`.
#[derive(Debug, Default)]
pub struct Index {
    /// Module name to its path below the modules directory and its dependencies, nearest last.
    modules: HashMap<String, Module>,
    /// Alias pattern and module name, keyed by the part before the pattern's first ':' ("pci", "usb").
    aliases: HashMap<String, Vec<(String, String)>>,
    /// Module name to the modules to load before and after it.
    soft: HashMap<String, (Vec<String>, Vec<String>)>,
}

#[derive(Debug)]
struct Module {
    path: String,
    needs: Vec<String>,
}

/// Maximum depth of soft dependencies.
const DEPTH: usize = 16;

impl Index {
    /// Parses the three files. Lines that cannot be parsed are skipped.
    pub fn parse(dep: &str, alias: &str, softdep: &str) -> Index {
        let mut index = Index::default();
        for line in dep.lines() {
            let Some((path, needs)) = line.split_once(':') else {
                continue;
            };
            let module = Module {
                path: path.trim().to_owned(),
                needs: needs.split_ascii_whitespace().map(name_of).collect(),
            };
            index.modules.insert(name_of(path.trim()), module);
        }
        for line in alias.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if let ["alias", pattern, name] = words[..] {
                index
                    .aliases
                    .entry(kind_of(pattern).to_owned())
                    .or_default()
                    .push((pattern.to_owned(), name.replace('-', "_")));
            }
        }
        for line in softdep.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some("softdep"), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let entry = index.soft.entry(name.replace('-', "_")).or_default();
            let mut after = false;
            for word in words {
                match word {
                    "pre:" => after = false,
                    "post:" => after = true,
                    // Kept as written: it may be an alias, such as crypto-crc32c.
                    word if after => entry.1.push(word.to_owned()),
                    word => entry.0.push(word.to_owned()),
                }
            }
        }
        index
    }

    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Names of the available modules that serve a device with this modalias.
    pub fn serving(&self, modalias: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let of_kind = |kind: &str| self.aliases.get(kind).map_or(&[][..], Vec::as_slice);
        // A pattern with a wildcard in its first part is filed under "".
        for (pattern, name) in of_kind(kind_of(modalias)).iter().chain(of_kind("")) {
            if !found.contains(&name.as_str())
                && self.modules.contains_key(name)
                && matches(pattern, modalias)
            {
                found.push(name.as_str());
            }
        }
        found
    }

    /// Paths to load for `name`, in order, except those already in `loaded`, to which they are added. Empty
    /// for an unknown name: it is built into the kernel, or missing from this mini-os.
    pub fn order(&self, name: &str, loaded: &mut HashSet<String>) -> Vec<String> {
        let mut paths = Vec::new();
        self.visit(name, loaded, &mut paths, 0);
        paths
    }

    fn visit(&self, name: &str, loaded: &mut HashSet<String>, paths: &mut Vec<String>, depth: usize) {
        if depth > DEPTH {
            return;
        }
        let module_name = name.replace('-', "_");
        let Some(module) = self.modules.get(&module_name) else {
            // There is no modprobe here to answer request_module() at run time, so every module that serves
            // the alias is loaded: ext4 needs some crypto-crc32c to mount anything.
            for serving in self.serving(name) {
                self.visit(serving, loaded, paths, depth + 1);
            }
            return;
        };
        if !loaded.insert(module_name.clone()) {
            return;
        }
        let soft = self.soft.get(&module_name);
        for before in soft.map_or(&[][..], |s| &s.0) {
            self.visit(before, loaded, paths, depth + 1);
        }
        // depmod lists the nearest dependency first, then that one's dependencies.
        for need in module.needs.iter().rev() {
            self.visit(need, loaded, paths, depth + 1);
        }
        paths.push(module.path.clone());
        for after in soft.map_or(&[][..], |s| &s.1) {
            self.visit(after, loaded, paths, depth + 1);
        }
    }
}

/// A module's name from its path: the file name up to the first '.', '-' as '_'.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn kind_of(alias: &str) -> &str {
    let kind = alias.split(':').next().unwrap_or(alias);
    if kind.contains(['*', '?', '[']) { "" } else { kind }
}

/// Whether a shell pattern with `*`, `?` and `[...]` matches the whole text, as fnmatch(3) without flags.
/// Takes at most pattern length times text length steps: only the last `*` is ever tried again.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&pattern[p..], text[t]),
            Some(c) if *c == text[t] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((at, from))) => {
                p = at + 1;
                t = from + 1;
                star = Some((at, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Length of the class at the start of `pattern` if `c` is in it. A '[' without a ']' matches itself.
fn class(pattern: &[u8], c: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    // A ']' at the start is a member of the class.
    let Some(end) = (first + 1..pattern.len()).find(|i| pattern[*i] == b']') else {
        return (c == b'[').then_some(1);
    };
    let members = &pattern[first..end];
    let mut found = false;
    let mut i = 0;
    while i < members.len() {
        if members.get(i + 1) == Some(&b'-') && i + 2 < members.len() {
            found |= (members[i]..=members[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= members[i] == c;
            i += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_fnmatch() {
        for (pattern, text) in [
            ("a*c", "abbbc"),
            ("*", ""),
            (
                "pci:v00008086d000010D3sv*sd*bc*sc*i*",
                "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00",
            ),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4"),
            ("[a-c]x[!0-9]", "bxz"),
            ("a[]]b", "a]b"),
            ("a[b", "a[b"),
            ("dmi*:svnX:*", "dmi:bvnQ:svnX:pn"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a*c", "abbb"),
            ("", "a"),
            ("?", ""),
            ("[a-c]x[!0-9]", "bx5"),
            ("virtio:d00000001v*", "virtio:d00000002v00001AF4"),
            ("abc", "ab"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        // No blow-up.
        let started = std::time::Instant::now();
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1999)));
        assert!(started.elapsed().as_secs() < 5);
    }

    proptest::proptest! {
        #[test]
        fn a_literal_matches_itself_and_any_pattern_ends(pattern in "[a-c*?\\[\\]!-]{0,12}", text in "[a-c\\[\\]-]{0,12}") {
            matches(&pattern, &text);
            if !text.contains('[') {
                proptest::prop_assert!(matches(&text, &text));
            }
            let any = "?".repeat(text.len());
            proptest::prop_assert!(matches(&any, &text));
        }
    }

    fn index() -> Index {
        Index::parse(
            "kernel/net/e1000e.ko.zst: kernel/ptp.ko.zst kernel/pps-core.ko.zst\nkernel/ptp.ko.zst: kernel/pps-core.ko.zst\n\
             kernel/pps-core.ko.zst:\nkernel/fs/ext4.ko.zst: kernel/jbd2.ko.zst\nkernel/jbd2.ko.zst:\n\
             kernel/crc32c-intel.ko.zst:\nkernel/loop-a.ko: \nkernel/loop-b.ko:\ngarbage\n",
            "# Aliases\nalias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\nalias fs-ext4 ext4\nalias p*i:v1 jbd2\n\
             alias pci:v00008086d000010D3* not_here\nalias broken\nalias crypto-crc32c crc32c_intel\n",
            "softdep ext4 pre: crypto-crc32c post: nothing-here\nsoftdep loop_a pre: loop_b\nsoftdep loop_b pre: loop_a\n",
        )
    }

    #[test]
    fn devices_find_their_modules() {
        let index = index();
        assert_eq!(
            index.serving("pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"),
            ["e1000e"]
        );
        assert_eq!(index.serving("pci:v1"), ["jbd2"]);
        assert!(index.serving("usb:v1").is_empty());
    }

    #[test]
    fn needs_come_first_and_once() {
        let index = index();
        let mut loaded = HashSet::new();
        assert_eq!(
            index.order("e1000e", &mut loaded),
            [
                "kernel/pps-core.ko.zst",
                "kernel/ptp.ko.zst",
                "kernel/net/e1000e.ko.zst"
            ]
        );
        assert!(index.order("e1000e", &mut loaded).is_empty());
        assert_eq!(
            index.order("ext4", &mut loaded),
            [
                "kernel/crc32c-intel.ko.zst",
                "kernel/jbd2.ko.zst",
                "kernel/fs/ext4.ko.zst"
            ]
        );
        assert_eq!(index.order("loop-a", &mut loaded).len(), 2);
        assert!(index.order("builtin", &mut loaded).is_empty());
    }
}
