use clap::{CommandFactory as _, Parser};
use inventory_api::machine::{DeployResponse, Deployment};
use inventory_api::{Problem, UnixMs};

use super::machine::MachineCommand;
use super::{CliEnv, CliError, Command, Output, execute, render};
use inventory_api::sample;
use inventory_client::ClientError;

#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

fn parse(words: &str) -> Result<Command, clap::Error> {
    Program::try_parse_from(std::iter::once("slipway").chain(words.split(' '))).map(|p| p.command)
}

#[test]
fn the_command_line_is_sound() {
    Program::command().debug_assert();
}

#[test]
fn commands_are_read() {
    let Command::Machine(m) = parse("machine list --state failed --output json").unwrap() else {
        panic!()
    };
    assert_eq!(m.common.output, Output::Json);
    assert!(matches!(m.command, MachineCommand::List { state: Some(s) } if s == "failed"));
    let Command::Deploy(d) = parse("deploy 7XK04Q3 --profile web --dry-run").unwrap() else {
        panic!()
    };
    assert!(d.args.dry_run && !d.args.yes);
    assert_eq!(
        d.args.deployment().unwrap(),
        Deployment::Profile {
            profile: "web".into()
        }
    );
    assert!(matches!(
        parse("explain 52-54-00-12-34-56"),
        Ok(Command::Explain(_))
    ));
    assert!(matches!(
        parse("mini-os build --agent a --variant small"),
        Ok(Command::MiniOs(_))
    ));
    let Command::Machine(m) = parse("machine conflict m-1 --different --with m-2").unwrap() else {
        panic!()
    };
    assert!(matches!(m.command, MachineCommand::Conflict(c) if c.different && c.with.is_some()));
    // A hardware profile by its full name, and by the names that it had before.
    for kind in ["hardware-profiles", "profiles"] {
        assert!(
            matches!(parse(&format!("import {kind} p.json")), Ok(Command::Import(_))),
            "{kind}"
        );
        let list = parse(&format!("{} list", kind.trim_end_matches('s')));
        assert!(matches!(list, Ok(Command::HardwareProfile(_))), "{kind}");
    }
    for wrong in [
        "machine conflict m-1 --different --retire m-2",
        "machine conflict m-1 --with m-2",
        "deploy m-1",
        "deploy m-1 --profile a --request b",
        "explain 52:54",
        "machine show",
        "machine list --output yaml",
        "mini-os build --agent a --variant tiny",
    ] {
        assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn a_wrong_request_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let deployment = || {
        let Command::Deploy(d) = parse(&format!("deploy m-1 --request {}", path.display())).unwrap() else {
            panic!()
        };
        d.args.deployment()
    };
    let missing = deployment().unwrap_err();
    assert!(
        missing.exit_code() == 2 && missing.to_string().contains("r.toml"),
        "{missing}"
    );
    std::fs::write(&path, "imagee = \"debian-12\"\n").unwrap();
    let wrong = deployment().unwrap_err().to_string();
    assert!(wrong.contains("imagee") && wrong.contains("r.toml"), "{wrong}");
    std::fs::write(&path, "image = \"debian-12\"\n").unwrap();
    assert!(matches!(deployment().unwrap(), Deployment::Request(r) if r.image == "debian-12"));
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_sent() {
    let run = |env: CliEnv| execute(parse("machine list").unwrap(), env);
    let env = |url: &str, token: &str| CliEnv {
        url: Some(url.into()),
        token: Some(token.into()),
        ca: None,
    };
    for (env, says) in [
        (CliEnv::default(), "SLIPWAY_URL"),
        (
            CliEnv {
                url: Some("https://h:1".into()),
                ..CliEnv::default()
            },
            "SLIPWAY_TOKEN",
        ),
        (env("http://h:1", "t"), "https://HOST:PORT"),
        (env("h:1", "t"), "https://HOST:PORT"),
        (
            CliEnv {
                ca: Some("/nonexistent/ca.pem".into()),
                ..env("https://h:1", "t")
            },
            "/nonexistent/ca.pem",
        ),
    ] {
        let error = run(env).await.unwrap_err();
        assert!(
            error.exit_code() == 2 && error.to_string().contains(says),
            "{error}"
        );
    }
}

#[test]
fn a_problem_says_what_to_do() {
    let error = CliError::from(ClientError::Refused(Problem {
        code: "no-token".into(),
        title: "Not signed in".into(),
        status: 401,
        detail: "the token is \u{1b}[31mnot known".into(),
    }));
    let text = error.to_string();
    assert_eq!(error.exit_code(), 1);
    assert!(
        text.contains("SLIPWAY_TOKEN") && text.contains("(401 no-token)") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn machines_are_a_table() {
    let text = render::machines(&sample::machines()[2..5], sample::NOW);
    let want = "\
ID              STATE                              HOSTNAME  MODEL                     SERIAL   MAC                ADDRESS      SEEN
m-5254001a2b03  failed/deploying                   web-03    Dell Inc. PowerEdge R650  7XK03Q3  52:54:00:1a:2b:03  10.77.0.103  21 s ago
m-5254001a2b04  deploying/installing 58 %          web-04    Dell Inc. PowerEdge R650  7XK04Q3  52:54:00:1a:2b:04  10.77.0.104  28 s ago
m-5254001a2b05  deploying/await-local-boot 100 %   web-05    Dell Inc. PowerEdge R650  7XK05Q3  52:54:00:1a:2b:05  10.77.0.105  35 s ago
";
    // Column widths depend on the cells, so compare words only.
    let squeeze = |t: &str| {
        t.lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(squeeze(&text), squeeze(want));
    let column = |line: &str, word: &str| line.find(word).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(column(lines[0], "SERIAL"), column(lines[1], "7XK03Q3"));
    assert_eq!(column(lines[1], "7XK03Q3"), column(lines[3], "7XK05Q3"));
}

#[test]
fn a_dry_run_shows_the_disk_the_partitions_and_the_steps_but_no_hash() {
    let response = DeployResponse {
        dry_run: true,
        status: sample::machines()[0].status.clone(),
        plan: Some(sample::plan()),
    };
    let text = render::deploy(&response);
    for part in [
        "serial S6CKNT0W500123",
        "root file system",
        "Erase the disk",
        "alice (sudo; groups adm, docker; 1 SSH key)",
        "Dry run: nothing was changed.",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("NEVERSHOWN"));
}

#[test]
fn a_machine_cannot_drive_the_terminal() {
    let mut d = sample::deployed();
    d.machine.hostname = Some("a\u{1b}]0;owned\u{7}".into());
    d.machine.model = Some("x\u{1b}[2J".into());
    let text =
        render::machine(&d, UnixMs(0)) + &render::machines(std::slice::from_ref(&d.machine), UnixMs(0));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
}

#[test]
fn a_conflict_is_shown_side_by_side() {
    let text = super::conflict::text(&sample::conflicts());
    for part in [
        "OPEN",
        "m-5254001a2b02",
        "m-5254001a2b03",
        "system serial",
        "7XK03Q3",
        "differs",
        "same",
        "--different --with",
        "machine conflict m-5254001a2b02 --retire m-5254001a2b03",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
}
