//! Scripts: those the agent runs on the first boot, and those that are only put in place.

use inventory_api::deploy::{Script, ScriptRun};

use super::super::error::StepError;
use super::super::root::{ROOT, Root};
use super::{file_name, plain_path, quoted};

/// First-boot scripts are here.
pub const FIRST_BOOT_DIR: &str = "/usr/local/lib/slipway/firstboot.d";
const LARGEST: usize = 1 << 20;

pub(in super::super) fn check(scripts: &[Script]) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for script in scripts {
        let name = quoted(&script.name);
        if !file_name(&script.name) {
            return Err(format!(
                "{name} is not a name of a script: letters, digits, '-' and '_'"
            ));
        }
        if !script.content.starts_with("#!")
            || script.content.contains('\0')
            || script.content.len() > LARGEST
        {
            return Err(format!(
                "script {name} must begin with #! and be text of at most 1 MiB"
            ));
        }
        if let Some(path) = &script.path
            && (!plain_path(path) || script.run != ScriptRun::Kept)
        {
            return Err(format!(
                "script {name}: {} is not a path for a kept script",
                quoted(path)
            ));
        }
        if !seen.insert(script_path(script)) {
            return Err(format!("two scripts would be {}", script_path(script)));
        }
    }
    Ok(())
}

/// Where a script is on the installed system.
pub fn script_path(script: &Script) -> String {
    match (script.run, &script.path) {
        (ScriptRun::FirstBoot, _) => format!("{FIRST_BOOT_DIR}/{}", script.name),
        (ScriptRun::Kept, Some(path)) => path.clone(),
        (ScriptRun::Kept, None) => format!("/usr/local/sbin/{}", script.name),
    }
}

pub(in super::super) fn apply(root: &Root, scripts: &[Script]) -> Result<(), StepError> {
    scripts
        .iter()
        .try_for_each(|s| root.write(&script_path(s), s.content.as_bytes(), 0o755, ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_where_they_belong() {
        let script = |name: &str, run, path: Option<&str>| Script {
            name: name.into(),
            content: "#!/bin/sh\n".into(),
            run,
            path: path.map(str::to_owned),
        };
        let first = script("setup", ScriptRun::FirstBoot, None);
        assert_eq!(script_path(&first), "/usr/local/lib/slipway/firstboot.d/setup");
        let kept = script("tool", ScriptRun::Kept, Some("/opt/tools/tool.sh"));
        assert_eq!(check(&[first.clone(), kept]), Ok(()));
        for bad in [
            script("../x", ScriptRun::FirstBoot, None),
            script("x", ScriptRun::Kept, Some("/opt/../etc/passwd")),
            script("x", ScriptRun::Kept, Some("opt/x")),
            script("x", ScriptRun::Kept, Some("/")),
            script("x", ScriptRun::FirstBoot, Some("/opt/x")),
            Script {
                content: "echo".into(),
                ..first.clone()
            },
            Script {
                content: "#!/bin/sh\0".into(),
                ..first.clone()
            },
        ] {
            assert!(check(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        assert!(check(&[first.clone(), first]).is_err());
    }
}
