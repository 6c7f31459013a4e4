//! Scripts: those the agent runs on the first boot, and those that are only installed.

use inventory_api::deploy::Script;
use inventory_api::valid::script_path;

use super::super::error::StepError;
use super::super::root::{ROOT, Root};

pub(crate) fn apply(root: &Root, scripts: &[Script]) -> Result<(), StepError> {
    scripts.iter().try_for_each(|s| {
        let mode = if s.everyone { 0o755 } else { 0o700 };
        root.write(&script_path(s), s.content.as_bytes(), mode, ROOT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_api::deploy::ScriptRun;
    use inventory_api::valid::scripts as check;

    #[test]
    fn paths_stay_where_they_belong() {
        let script = |name: &str, run, path: Option<&str>| Script {
            name: name.into(),
            content: "#!/bin/sh\n".into(),
            run,
            path: path.map(str::to_owned),
            everyone: false,
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
