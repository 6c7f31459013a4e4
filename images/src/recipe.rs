//! A recipe: what goes into an image, as a TOML file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::slice;

use inventory_api::id::Sha256Digest;
use serde::Deserialize;

use crate::digest::digest_bytes;
use crate::{Error, Result};

/// A recipe is a page of text; anything larger is something else.
const RECIPE_MAX_BYTES: u64 = 256 << 10;

/// Raised when the builder makes something else of the same recipe, so that older images count as out of
/// date.
const BUILDER_GENERATION: u32 = 1;

/// What goes into an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// Name of the image: a-z, 0-9, '-'.
    pub(crate) name: String,
    /// The operating system in words.
    pub(crate) os: String,
    /// Debian code name, e.g. "bookworm".
    pub(crate) suite: String,
    /// Components of the archive.
    #[serde(default = "main_only")]
    pub(crate) components: Vec<String>,
    /// mmdebstrap's variant: the packages that are installed before `packages`.
    #[serde(default = "minbase")]
    pub(crate) variant: String,
    /// The kernel package.
    pub(crate) kernel: String,
    /// All other packages, without their recommendations.
    pub(crate) packages: Vec<String>,
    /// systemd units that start at boot.
    #[serde(default)]
    pub(crate) services: Vec<String>,
    /// Kernel arguments of the installed system, as GRUB_CMDLINE_LINUX.
    #[serde(default)]
    pub(crate) kernel_arguments: String,
    /// Free space in the file system, in percent of its content. It grows to the disk when installed.
    #[serde(default = "slack")]
    pub(crate) slack_percent: u32,
    /// The image holds no secret and may be served to anyone on the provisioning network.
    #[serde(default)]
    pub(crate) public: bool,
}

fn main_only() -> Vec<String> {
    vec!["main".to_owned()]
}

fn minbase() -> String {
    "minbase".to_owned()
}

fn slack() -> u32 {
    15
}

/// A recipe and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) recipe: Recipe,
    /// Digest of the recipe's text and of the builder's generation.
    pub(crate) sha256: Sha256Digest,
}

impl RecipeFile {
    /// Reads a recipe.
    ///
    /// # Errors
    /// It cannot be read or is not a valid recipe; the text names the place.
    pub fn load(path: &Path) -> Result<RecipeFile> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut text = String::new();
        let read = file.take(RECIPE_MAX_BYTES + 1).read_to_string(&mut text);
        if read.map_err(Error::io("read", path))? as u64 > RECIPE_MAX_BYTES {
            let reason = format!("it is larger than {RECIPE_MAX_BYTES} bytes");
            let path = path.to_owned();
            return Err(Error::Recipe { path, reason });
        }
        RecipeFile::parse(path, &text)
    }

    /// `path` is for error texts.
    fn parse(path: &Path, text: &str) -> Result<RecipeFile> {
        let wrong = |reason: String| Error::Recipe {
            path: path.to_owned(),
            reason,
        };
        let recipe: Recipe = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        recipe.check().map_err(wrong)?;
        let sha256 = digest_bytes(format!("{BUILDER_GENERATION}\n{text}").as_bytes());
        Ok(RecipeFile {
            path: path.to_owned(),
            recipe,
            sha256,
        })
    }
}

impl Recipe {
    /// Every value becomes part of a path, an argument or a configuration line, so only plain words are
    /// allowed.
    fn check(&self) -> Result<(), String> {
        check_name(&self.name).map_err(|e| format!("name: {e}"))?;
        let word = |what: &str, text: &str, extra: &str| {
            let ok = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
            let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
            if first && text.len() <= 100 && text.chars().all(ok) {
                return Ok(());
            }
            Err(format!(
                "{what}: {text:?} is not a plain word (letters, digits and {extra:?})"
            ))
        };
        let words = [
            ("suite", slice::from_ref(&self.suite), "-"),
            ("variant", slice::from_ref(&self.variant), "-"),
            ("kernel", slice::from_ref(&self.kernel), "+-."),
            ("components", &self.components, "-"),
            ("packages", &self.packages, "+-.:"),
            ("services", &self.services, "+-.@_"),
        ];
        for (what, texts, extra) in words {
            texts.iter().try_for_each(|text| word(what, text, extra))?;
        }
        if self.components.is_empty() {
            return Err("components: none are listed; \"main\" is the usual one".to_owned());
        }
        if self.os.is_empty() || self.os.len() > 100 || self.os.chars().any(char::is_control) {
            return Err("os: expected 1 to 100 characters, such as \"Debian 12\"".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || " =,.:_-/".contains(c);
        if !self.kernel_arguments.chars().all(plain) {
            return Err(format!(
                "kernel_arguments: {:?} has characters that a shell would read",
                self.kernel_arguments
            ));
        }
        if !(5..=400).contains(&self.slack_percent) {
            let slack = self.slack_percent;
            return Err(format!("slack_percent: {slack} is not between 5 and 400"));
        }
        Ok(())
    }
}

/// Checks an image's name.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    check_part("name", name, "-")
}

/// Checks an image's version.
pub(crate) fn check_version(version: &str) -> Result<(), String> {
    check_part("version", version, "-.")
}

/// Checks a text that becomes part of a path.
fn check_part(what: &str, text: &str, extra: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ok = |c: char| plain(c) || extra.contains(c);
    if (1..=64).contains(&text.len()) && text.starts_with(plain) && text.chars().all(ok) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a {what}: expected 1 to 64 of a-z, 0-9 and {extra:?}, with a letter or digit first"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"d\"\nos = \"D\"\nsuite = \"bookworm\"\nkernel = \"linux-image-amd64\"\npackages = [\"cron\"]\n";

    fn refusal(text: &str) -> String {
        RecipeFile::parse(Path::new("x/d.toml"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_recipes_in_the_repository_are_valid() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let mut seen = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let recipe = RecipeFile::load(&path).unwrap().recipe;
            assert_eq!(path.file_stem().unwrap().to_str().unwrap(), recipe.name);
            seen += 1;
        }
        assert!(seen >= 2, "{seen}");
    }

    #[test]
    fn errors_name_file_and_place() {
        let text = refusal(&GOOD.replace("packages", "packges"));
        assert!(
            text.starts_with("recipe x/d.toml: ") && text.contains("line 5") && text.contains("packges"),
            "{text}"
        );
        assert!(refusal(&GOOD.replace("suite = \"bookworm\"\n", "")).contains("missing field `suite`"));
        assert!(refusal("name = 3").contains("line 1"));
    }

    #[test]
    fn nothing_that_a_path_or_a_shell_would_read_passes() {
        for (from, to, word) in [
            ("\"d\"", "\"../d\"", "name"),
            ("\"d\"", "\"\"", "name"),
            ("bookworm", "book worm", "suite"),
            ("\"cron\"", "\"cron;reboot\"", "packages"),
            ("\"cron\"", "\"-o\"", "packages"),
            ("linux-image-amd64", "$(x)", "kernel"),
        ] {
            let text = refusal(&GOOD.replace(from, to));
            assert!(text.contains(word), "{to}: {text}");
        }
        assert!(refusal(&format!("{GOOD}kernel_arguments = \"a;b\"\n")).contains("kernel_arguments"));
        assert!(refusal(&format!("{GOOD}slack_percent = 1\n")).contains("slack_percent"));
    }

    #[test]
    fn a_changed_text_is_another_recipe() {
        let a = RecipeFile::parse(Path::new("a"), GOOD).unwrap();
        let b = RecipeFile::parse(Path::new("a"), &GOOD.replace("cron", "sudo")).unwrap();
        assert_ne!(a.sha256, b.sha256);
        assert_eq!(a, RecipeFile::parse(Path::new("a"), GOOD).unwrap());
    }
}
