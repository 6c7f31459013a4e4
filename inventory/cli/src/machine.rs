//! `slipway machine` and `slipway deploy`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use inventory_api::burn_in::BurnInRequest;
use inventory_api::machine::{
    DeployResponse, HistoryEntry, MachineDetail, MachineSummary, Verb, VerbResponse,
};
use inventory_api::page::Page;
use inventory_api::task::TaskStatus;

use super::render;
use super::{CliEnv, CliError, Common, Confirmed, MachineCommand, Order, Output, Which};
use inventory_client::Client;
use words::text::{self, segment};

pub(crate) async fn run(command: MachineCommand, common: &Common, env: CliEnv) -> Result<String, CliError> {
    let client = common.client(env)?;
    let out = common.output;
    match command {
        MachineCommand::List { state } => {
            let state = state.map_or(String::new(), |s| {
                format!("?state={}", segment(&s.to_lowercase()))
            });
            let machines: Vec<MachineSummary> = client.list(&format!("/v1/machines{state}")).await?;
            render::answer(out, &machines, |m| render::machines(m, super::now()))
        }
        MachineCommand::Show(Which { machine }) => {
            let detail: MachineDetail = client.get(&path(&machine, "")?).await?;
            render::answer(out, &detail, |d| render::machine(d, super::now()))
        }
        MachineCommand::History { machine, before } => {
            let before = before.map_or(String::new(), |row| format!("&before={row}"));
            let page = path(&machine, &format!("/history?limit=200{before}"))?;
            let history: Page<HistoryEntry> = client.get(&page).await?;
            render::answer(out, &history.items, |h| render::history(h))
        }
        MachineCommand::Deploy(order) => deploy_with(&client, order, out).await,
        MachineCommand::Commission(which) => verb(&client, &which.machine, Verb::Commission, out).await,
        MachineCommand::Retry(which) => verb(&client, &which.machine, Verb::Retry, out).await,
        MachineCommand::Recheck(Which { machine }) => {
            let task: Option<TaskStatus> = client.post(&path(&machine, "/recheck")?, None::<&()>).await?;
            render::answer(out, &task, |t| asked(&machine, t.as_ref()))
        }
        MachineCommand::Identify { machine, seconds } => {
            let body = serde_json::json!({ "seconds": seconds });
            let task: TaskStatus = client.post(&path(&machine, "/identify")?, Some(&body)).await?;
            render::answer(out, &task, |t| asked(&machine, Some(t)))
        }
        MachineCommand::BurnIn {
            machine,
            cpu,
            memory,
            disk,
            max_temperature,
            min_disk_speed,
        } => {
            let request = BurnInRequest {
                cpu_seconds: cpu,
                memory_seconds: memory,
                disk_seconds: disk,
                max_temperature_c: max_temperature,
                min_disk_mb_per_s: min_disk_speed,
                ..BurnInRequest::default()
            };
            let task: TaskStatus = client.post(&path(&machine, "/burn-in")?, Some(&request)).await?;
            render::answer(out, &task, |t| asked(&machine, Some(t)))
        }
        MachineCommand::Fixed { machine, text } => {
            let body = serde_json::json!({ "text": text });
            let task: Option<TaskStatus> = client.post(&path(&machine, "/fixed")?, Some(&body)).await?;
            render::answer(out, &task, |t| asked(&machine, t.as_ref()))
        }
        MachineCommand::Abort(which) => verb(&client, &which.machine, Verb::Abort, out).await,
        MachineCommand::Admit(which) => verb(&client, &which.machine, Verb::Admit, out).await,
        MachineCommand::Forget(asked) => {
            confirmed(&client, &asked, |d| {
                let name = render::name(&d.machine);
                format!("Forget {name}: its reports, checks, plans and history are deleted.")
            })
            .await?;
            verb(&client, &asked.machine, Verb::Forget, out).await
        }
        MachineCommand::Conflict(args) => super::conflict::run(&client, args, out).await,
        MachineCommand::Release(asked) => {
            confirmed(&client, &asked, |d| {
                let disk = d.plan.as_ref().map_or_else(
                    || "what Slipway wrote to its disks is erased".to_owned(),
                    |plan| format!("everything on {} is erased", text::plan::disk(&plan.disk)),
                );
                format!("Release {}: {disk}.", render::name(&d.machine))
            })
            .await?;
            verb(&client, &asked.machine, Verb::Release, out).await
        }
        MachineCommand::Retire(asked) => {
            confirmed(&client, &asked, |d| {
                let name = render::name(&d.machine);
                format!("Retire {name}: Slipway no longer answers it. Its disks are not touched.")
            })
            .await?;
            verb(&client, &asked.machine, Verb::Retire, out).await
        }
    }
}

pub(crate) async fn deploy(order: Order, common: &Common, env: CliEnv) -> Result<String, CliError> {
    deploy_with(&common.client(env)?, order, common.output).await
}

/// Shows the plan and asks for confirmation, unless `--yes` is given.
async fn deploy_with(client: &Client, order: Order, out: Output) -> Result<String, CliError> {
    let body = order.order()?;
    let here = path(&order.machine, "/deploy")?;
    if order.dry_run || !order.yes {
        let planned: DeployResponse = client.post(&format!("{here}?dry_run=1"), Some(&body)).await?;
        if order.dry_run {
            return render::answer(out, &planned, render::deploy);
        }
        // Standard output is kept for the answer.
        eprint!("{}", render::deploy(&planned));
        confirm("The disk is erased.")?;
    }
    let done: DeployResponse = client.post(&here, Some(&body)).await?;
    render::answer(out, &done, render::deploy)
}

async fn verb(client: &Client, machine: &str, verb: Verb, out: Output) -> Result<String, CliError> {
    let done: VerbResponse = client
        .post(&path(machine, &format!("/{verb}"))?, None::<&()>)
        .await?;
    render::answer(out, &done, |d| render::verb(machine, d))
}

/// The API path of a machine. A serial number may contain any character, so it is encoded as one path
/// segment.
pub(super) fn path(machine: &str, rest: &str) -> Result<String, CliError> {
    // URL rules resolve `.` and `..` away, percent-encoded or not.
    if machine.is_empty() || machine.len() > 128 || machine == "." || machine == ".." {
        return Err(CliError::usage(
            "MACHINE is an id, a MAC or a serial number: 1 to 128 bytes",
        ));
    }
    Ok(format!("/v1/machines/{}{rest}", segment(machine)))
}

fn asked(machine: &str, task: Option<&TaskStatus>) -> String {
    let machine = text::tame(machine, 128);
    match task {
        Some(task) => format!(
            "{machine}: asked for {} (task {}); `slipway machine show {machine}` shows what comes of it\n",
            task.task.name(),
            task.id
        ),
        None => format!("{machine}: checked again; `slipway machine show {machine}` shows the verdict\n"),
    }
}

/// Asks for confirmation, naming what is lost, unless `--yes` is given.
async fn confirmed(
    client: &Client,
    asked: &Confirmed,
    what: impl FnOnce(&MachineDetail) -> String,
) -> Result<(), CliError> {
    if asked.yes {
        return Ok(());
    }
    let detail: MachineDetail = client.get(&path(&asked.machine, "")?).await?;
    confirm(&what(&detail))
}

/// Asks on the terminal; without a terminal the answer is no.
fn confirm(what: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage(format!(
            "{what}\n  Nothing was done: give --yes to go on without being asked."
        )));
    }
    eprint!("{what} Go on? Type yes: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && line.trim() == "yes" {
        Ok(())
    } else {
        Err(CliError::failed("nothing was done"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_one_path_segment() {
        assert_eq!(path("m-0123", "/history").unwrap(), "/v1/machines/m-0123/history");
        assert_eq!(
            path("52:54:00:12:34:56", "").unwrap(),
            "/v1/machines/52:54:00:12:34:56"
        );
        assert_eq!(path("../x?y#z", "").unwrap(), "/v1/machines/..%2Fx%3Fy%23z");
        assert!(path("", "").is_err() && path("..", "").is_err() && path(&"x".repeat(129), "").is_err());
    }
}
