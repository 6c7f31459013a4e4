//! Debian packages without touching the host: a private apt with the host's mirror, its proxy settings and
//! Debian's own signatures, which keeps everything else in a directory of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;
use crate::{Arch, Error, Result};

/// The keys that Debian's archive is signed with (package `debian-archive-keyring`).
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where Debian packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    suite: String,
    archive: String,
    security: String,
}

impl Mirror {
    /// The mirror that the host itself uses for Debian; deb.debian.org if it uses none, for example because
    /// it is not a Debian.
    pub fn of_host(suite: &str) -> Mirror {
        let listing = Command::new("apt-get")
            .args([
                "indextargets",
                "--format",
                "$(ORIGIN)|$(SITE)|$(RELEASE)",
                "Created-By: Packages",
            ])
            .output()
            .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
            .unwrap_or_default();
        Mirror::from_listing(suite, &listing)
    }

    /// Picks the mirror out of lines `origin|site|release`, as `apt-get indextargets` prints them.
    fn from_listing(suite: &str, listing: &str) -> Mirror {
        let mut mirror = Mirror {
            suite: suite.to_owned(),
            archive: "http://deb.debian.org/debian".to_owned(),
            security: "http://deb.debian.org/debian-security".to_owned(),
        };
        // The host's mirror serves the other releases of Debian too; only the suite differs.
        for line in listing.lines() {
            let mut fields = line.split('|');
            let (Some("Debian"), Some(site), Some(release)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let site = site.trim_end_matches('/');
            if !(site.starts_with("http://") || site.starts_with("https://")) {
                continue;
            }
            if release.contains("-security") {
                mirror.security = site.to_owned();
            } else if !release.contains('-') {
                mirror.archive = site.to_owned();
            }
        }
        mirror
    }

    /// Lines for a `sources.list`, with the named components.
    pub fn sources(&self, components: &str) -> Vec<String> {
        let (archive, security) = (&self.archive, &self.security);
        let parts = [(archive, ""), (archive, "-updates"), (security, "-security")];
        let line = |(url, suffix)| {
            format!(
                "deb [signed-by={KEYRING}] {url} {}{suffix} {components}",
                self.suite
            )
        };
        parts.into_iter().map(line).collect()
    }
}

/// A private apt in one directory.
pub(crate) struct Apt {
    dir: PathBuf,
    config: PathBuf,
    updated: Result<()>,
}

impl Apt {
    /// Prepares the directory for the packages of an architecture, which may differ from the host's; each
    /// needs its own directory. Fetches the package lists; without the network the previous ones will do:
    /// they were signed, and packages are still checked against them.
    ///
    /// # Errors
    /// The directory cannot be written, or the host has no apt.
    pub(crate) fn new(dir: &Path, suite: &str, components: &str, arch: Arch) -> Result<Apt> {
        for sub in ["lists/partial", "archives/partial", "parts"] {
            let path = dir.join(sub);
            fs::create_dir_all(&path).map_err(Error::io("make directory", &path))?;
        }
        let dir = dir.canonicalize().map_err(Error::io("find", dir))?;
        // Keep the host's proxies and similar settings; leave out its hooks, sources and state.
        let acquire = run(Command::new("apt-config").args(["dump", "Acquire"]))?;
        let (d, arch) = (dir.display(), arch.debian());
        let mut text = String::from_utf8_lossy(&acquire).into_owned();
        text.push_str(&format!(
            "Dir::State \"{d}\";\nDir::State::lists \"{d}/lists\";\nDir::State::status \"{d}/status\";\n\
             Dir::Cache \"{d}\";\nDir::Cache::archives \"{d}/archives\";\nDir::Etc::parts \"{d}/parts\";\n\
             Dir::Etc::main \"{d}/none\";\nDir::Etc::sourcelist \"{d}/sources.list\";\n\
             Dir::Etc::sourceparts \"{d}/none\";\nDir::Etc::preferences \"{d}/none\";\n\
             Dir::Etc::preferencesparts \"{d}/none\";\nAPT::Architecture \"{arch}\";\nAPT::Architectures \"{arch}\";\n\
             Acquire::Retries \"4\";\nAcquire::Languages \"none\";\nAPT::Get::Assume-Yes \"true\";\n\
             APT::Sandbox::User \"root\";\n"
        ));
        let config = dir.join("apt.conf");
        let sources = Mirror::of_host(suite).sources(components).join("\n") + "\n";
        write(&config, text.as_bytes())?;
        write(&dir.join("status"), b"")?;
        write(&dir.join("sources.list"), sources.as_bytes())?;
        let mut apt = Apt {
            dir,
            config,
            updated: Ok(()),
        };
        let mut update = apt.command("apt-get");
        apt.updated = run(update.args(["-q", "--error-on=any", "update"])).map(drop);
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", &self.config)
            .env("LC_ALL", "C")
            .current_dir(self.dir.join("archives"));
        command
    }

    /// The newest version of `package` and its direct dependencies.
    ///
    /// # Errors
    /// The lists do not have the package, or there are none because the mirror cannot be reached or its
    /// signature is wrong.
    pub(crate) fn candidate(&mut self, package: &str) -> Result<Candidate> {
        self.listed(package)
            .map_err(|e| std::mem::replace(&mut self.updated, Ok(())).err().unwrap_or(e))
    }

    fn listed(&self, package: &str) -> Result<Candidate> {
        let mut show = self.command("apt-cache");
        let out = run(show.args(["show", "--no-all-versions", package]))?;
        let text = String::from_utf8_lossy(&out);
        let field = |name: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(name))
                .map(|v| v.trim().to_owned())
        };
        let version = field("Version:")
            .ok_or_else(|| Error::Input(format!("apt-cache show {package}: no version in its answer")))?;
        let depends = field("Depends:").unwrap_or_default();
        let names = depends.split(',').filter_map(|d| d.split_whitespace().next());
        Ok(Candidate {
            package: package.to_owned(),
            version,
            depends: names.map(str::to_owned).collect(),
        })
    }

    /// Downloads the packages and returns the files in the order of the request. apt checks them against the
    /// signed lists.
    ///
    /// # Errors
    /// A package cannot be downloaded.
    pub(crate) fn download(&self, packages: &[Candidate]) -> Result<Vec<PathBuf>> {
        let archives = self.dir.join("archives");
        let names: Vec<String> = packages
            .iter()
            .map(|c| format!("{}={}", c.package, c.version))
            .collect();
        // apt keeps a file whose digest is right, so a second call costs nothing.
        run(self.command("apt-get").arg("-q").arg("download").args(&names))?;
        packages
            .iter()
            .map(|c| {
                // The ':' of an epoch is %3a in the file name.
                let prefix = format!("{}_{}_", c.package, c.version.replace(':', "%3a"));
                find_deb(&archives, &prefix)?.ok_or_else(|| {
                    Error::Input(format!(
                        "apt-get download {}: no file {prefix}*.deb in {} afterwards",
                        c.package,
                        archives.display()
                    ))
                })
            })
            .collect()
    }
}

/// A package version that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub package: String,
    pub version: String,
    /// Its direct dependencies, by name.
    pub depends: BTreeSet<String>,
}

/// Unpacks a package into `target`. Nothing is installed: no script runs.
///
/// # Errors
/// dpkg-deb fails.
pub(crate) fn extract(deb: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target).map_err(Error::io("make directory", target))?;
    run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(target)).map(drop)
}

fn find_deb(dir: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    let named = |name: &str| name.starts_with(prefix) && name.ends_with(".deb");
    let mut found = None;
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path
            .file_name()
            .is_some_and(|name| named(&name.to_string_lossy()))
        {
            found = Some(path);
        }
    }
    Ok(found)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_mirror_is_used_and_others_repositories_are_not() {
        let listing = "Debian|http://mirror.example/debian/|bookworm\nDebian|http://mirror.example/debian|bookworm-updates\n\
                       Debian|http://sec.example/debian-security|bookworm-security\ngoogle|https://packages.example|x\n\
                       Debian|cdrom:[x]/|bookworm\nDebian|http://backports.example/debian|bookworm-backports\n";
        let mirror = Mirror::from_listing("bookworm", listing);
        assert_eq!(mirror.archive, "http://mirror.example/debian");
        assert_eq!(mirror.security, "http://sec.example/debian-security");
        let sources = mirror.sources("main");
        assert!(
            sources[1].ends_with("http://mirror.example/debian bookworm-updates main"),
            "{sources:?}"
        );
        assert_eq!(
            Mirror::from_listing("bookworm", "").archive,
            "http://deb.debian.org/debian"
        );
    }
}
