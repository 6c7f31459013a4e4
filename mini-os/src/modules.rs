//! The module index that depmod makes (dependencies, hardware aliases), trimmed to the chosen modules.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Result};

/// `modules.dep`: the path of each module, e.g. "kernel/fs/ext4/ext4.ko", and the paths it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dependencies {
    needs: BTreeMap<String, Vec<String>>,
}

impl Dependencies {
    /// Parses `modules.dep`.
    ///
    /// # Errors
    /// A line has no colon.
    pub(crate) fn parse(text: &str) -> Result<Dependencies> {
        let mut needs = BTreeMap::new();
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            let (module, rest) = line
                .split_once(':')
                .ok_or_else(|| Error::Input(format!("modules.dep: a line without ':': {line:?}")))?;
            needs.insert(
                module.to_owned(),
                rest.split_whitespace().map(str::to_owned).collect(),
            );
        }
        Ok(Dependencies { needs })
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.needs.keys().map(String::as_str)
    }

    /// `chosen` and everything it needs, by `modules.dep` and by the soft dependencies in `softdeps` (text of
    /// `modules.softdep`): without its soft dependencies a driver comes up half working.
    ///
    /// # Errors
    /// A required module is not in the index.
    pub(crate) fn closure(
        &self,
        chosen: impl IntoIterator<Item = String>,
        softdeps: &str,
    ) -> Result<BTreeSet<String>> {
        let by_name: BTreeMap<String, &String> = self.needs.keys().map(|p| (name_of(p), p)).collect();
        let soft = parse_softdeps(softdeps);
        let mut open: Vec<String> = chosen.into_iter().collect();
        let mut all = BTreeSet::new();
        while let Some(path) = open.pop() {
            let needs = self
                .needs
                .get(&path)
                .ok_or_else(|| Error::Input(format!("module {path} is required but not in modules.dep")))?;
            if !all.insert(path.clone()) {
                continue;
            }
            open.extend(needs.iter().cloned());
            for name in soft.get(&name_of(&path)).into_iter().flatten() {
                // Built into the kernel, or an alias of something that is: there is no file.
                open.extend(by_name.get(name).map(|p| (*p).clone()));
            }
        }
        Ok(all)
    }

    /// `modules.dep` for `chosen`, with `suffix` appended to each path.
    pub(crate) fn text_for(&self, chosen: &BTreeSet<String>, suffix: &str) -> String {
        let mut text = String::new();
        for path in chosen {
            text.push_str(&format!("{path}{suffix}:"));
            for need in self.needs.get(path).into_iter().flatten() {
                text.push_str(&format!(" {need}{suffix}"));
            }
            text.push('\n');
        }
        text
    }
}

/// The kernel's name of a module: the file name without `.ko`, '_' for '-'.
pub(crate) fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".ko").unwrap_or(file).replace('-', "_")
}

/// Lines `softdep NAME pre: A B post: C` as names; both kinds together.
fn parse_softdeps(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut soft: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("softdep") {
            continue;
        }
        let Some(name) = words.next() else { continue };
        let others = words.filter(|w| !w.ends_with(':')).map(|w| w.replace('-', "_"));
        soft.entry(name.replace('-', "_")).or_default().extend(others);
    }
    soft
}

/// The lines of `modules.alias` ("alias PATTERN NAME") or `modules.softdep` ("softdep NAME ...") about the
/// modules in `names`, without comments.
pub(crate) fn lines_about(text: &str, names: &BTreeSet<String>) -> String {
    let about = |line: &&str| {
        let mut words = line.split_whitespace();
        let name = match words.next() {
            Some("alias") => words.nth(1),
            Some("softdep") => words.next(),
            _ => None,
        };
        name.is_some_and(|n| names.contains(&n.replace('-', "_")))
    };
    text.lines().filter(about).flat_map(|l| [l, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko\n\
                       kernel/lib/crc16.ko:\nkernel/fs/mbcache.ko:\nkernel/fs/jbd2/jbd2.ko: kernel/lib/crc-x.ko\n\
                       kernel/lib/crc-x.ko:\nkernel/net/n.ko:\n";

    fn set(paths: &[&str]) -> BTreeSet<String> {
        paths.iter().map(|p| (*p).to_owned()).collect()
    }

    #[test]
    fn hard_and_soft_dependencies_are_included_at_any_depth() {
        let dep = Dependencies::parse(DEP).unwrap();
        let all = dep.closure(["kernel/fs/ext4/ext4.ko".to_owned()], "").unwrap();
        assert_eq!(all.len(), 5);
        let soft = "# x\nsoftdep n pre: crc-x builtin-thing post: mbcache\n";
        let all = dep.closure(["kernel/net/n.ko".to_owned()], soft).unwrap();
        assert_eq!(
            all,
            set(&["kernel/fs/mbcache.ko", "kernel/lib/crc-x.ko", "kernel/net/n.ko"])
        );
        let gone = Dependencies::parse("a.ko: b.ko\n")
            .unwrap()
            .closure(["a.ko".to_owned()], "")
            .unwrap_err();
        assert!(gone.to_string().contains("b.ko"), "{gone}");
    }

    #[test]
    fn the_index_names_compressed_files() {
        let dep = Dependencies::parse(DEP).unwrap();
        let chosen = dep.closure(["kernel/fs/jbd2/jbd2.ko".to_owned()], "").unwrap();
        assert_eq!(
            dep.text_for(&chosen, ".zst"),
            "kernel/fs/jbd2/jbd2.ko.zst: kernel/lib/crc-x.ko.zst\nkernel/lib/crc-x.ko.zst:\n"
        );
    }

    #[test]
    fn index_lines_about_other_modules_are_dropped() {
        let text = "# Aliases\nalias pci:v00008086d*sv* e1000e\nalias fs-ext4 ext4\nsoftdep crc-x pre: y\n";
        assert_eq!(
            lines_about(text, &set(&["e1000e"])),
            "alias pci:v00008086d*sv* e1000e\n"
        );
        assert_eq!(lines_about(text, &set(&["crc_x"])), "softdep crc-x pre: y\n");
    }
}
