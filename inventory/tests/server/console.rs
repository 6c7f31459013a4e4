//! Choices made at a machine's own console, requested over HTTP and TLS as the machine does.

use inventory_api::agent::RunsOn;
use inventory_api::boot::{BootArgs, BootEventKind, Choice, Purpose};
use inventory_api::machine::{Actor, Journey, MachineState};
use inventory_api::rescue::{RescueRequest, RescueResponse, RescueStep, SHELL_PATH};
use inventory_api::{Problem, routes};
use reqwest::StatusCode;

use crate::boot::networked;
use crate::harness::{Key, NIC, Site, answer};

/// Status and body that a loader gets.
async fn fetch(site: &Site, path: &str) -> (StatusCode, String) {
    let base = format!("http://{}", site.running().bound().networks[0].http);
    let response = reqwest::get(format!("{base}{path}")).await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn script(site: &Site, choice: Option<&str>) -> String {
    let choice = choice.map(|c| format!("&choice={c}")).unwrap_or_default();
    let (status, text) = fetch(site, &format!("/boot.ipxe?mac={NIC}{choice}")).await;
    assert!(status.is_success(), "{status}: {text}");
    text
}

async fn ask(site: &Site, args: &BootArgs, what: RescueStep) -> Result<RescueResponse, Problem> {
    let request = RescueRequest {
        ticket: args.ticket.clone(),
        boot_mac: args.mac,
        what,
    };
    let url = site.url("/agent/v1/rescue");
    let sent = site.client(None, None).post(url).json(&request).send().await;
    answer(sent.unwrap()).await
}

async fn types(site: &Site, args: &BootArgs, password: &str) -> RescueResponse {
    let password = password.to_owned();
    ask(site, args, RescueStep::Open { password }).await.unwrap()
}

/// A program that is statically linked, judging by its ELF headers.
fn static_program() -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01".to_vec();
    program.resize(64, 0);
    program.extend(b"the shell");
    program
}

async fn site_with_menu() -> (Site, tempfile::TempDir) {
    networked(|config| {
        let files = config.mini_os.dir.clone();
        std::fs::write(files.join("busybox"), static_program()).unwrap();
        for file in ["memtest86+x64.bin", "memtest86+x64.efi"] {
            std::fs::write(files.join(file), file).unwrap();
        }
        config.boot.busybox = files.join("busybox");
        config.boot.memory_test = files;
        config.boot.menu_seconds = 3;
    })
    .await
}

#[tokio::test]
async fn the_menu_is_there_when_nothing_is_going_on_and_each_choice_asks_again() {
    let (site, _files) = site_with_menu().await;
    // The first boot is the commissioning: it does not wait for a person.
    let first = script(&site, None).await;
    assert!(!first.contains("prompt"), "{first}");
    let refused = script(&site, Some("local-disk")).await;
    assert!(
        refused.contains("echo Slipway: not possible: the machine is busy"),
        "{refused}"
    );
    assert!(
        refused.contains(&format!("/boot.ipxe?mac={NIC} || reboot")),
        "then what was decided"
    );
    let args = BootArgs::parse(&script(&site, None).await).unwrap();
    let agent = site.claim(&args, &Key::new(), None).await.unwrap();
    agent.report(&site, RunsOn::MiniOs).await.unwrap();

    let menu = script(&site, None).await;
    assert!(menu.contains("prompt --key m --timeout 3000 "), "{menu}");
    for choice in ["local-disk", "mini-os", "rescue", "memory-test"] {
        assert!(menu.contains(&format!(" {choice} ")), "{choice} in {menu}");
    }
    assert!(script(&site, Some("local-disk")).await.contains("sanboot"));
    let mini_os = BootArgs::parse(&script(&site, Some("mini-os")).await).unwrap();
    assert_eq!(mini_os.purpose, Purpose::Standby);
    assert!(
        script(&site, Some("memory-test"))
            .await
            .contains("/boot/memtest.bin")
    );
    assert_eq!(fetch(&site, "/boot/memtest.efi").await.1, "memtest86+x64.efi");
    assert_eq!(
        fetch(&site, &format!("/boot.ipxe?mac={NIC}&choice=shell"))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
    let grub = fetch(&site, &format!("/grub/rescue.cfg?mac={NIC}")).await;
    assert_eq!(grub.0, StatusCode::FORBIDDEN, "only the lease says who GRUB is");

    let journey: Journey = site.ask(routes::JOURNEY, [&NIC.to_string()]).await.unwrap();
    let chosen: Vec<(Choice, bool)> = journey
        .events
        .iter()
        .filter_map(|event| match &event.what {
            BootEventKind::Chosen { choice, refused } => Some((*choice, refused.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(
        chosen,
        [
            (Choice::LocalDisk, true),
            (Choice::LocalDisk, false),
            (Choice::MiniOs, false),
            (Choice::MemoryTest, false)
        ]
    );
    // The ticket of an abandoned choice is no longer valid.
    let late = site.claim(&mini_os, &Key::new(), None).await.err().unwrap();
    assert_eq!(late.code, "ticket-expired");
    assert_eq!(site.status(&agent.id).await.state, MachineState::Ready);
}

#[tokio::test]
async fn a_rescue_opens_with_its_password_once_and_leaves_the_machine_as_it_was() {
    let (site, _files) = site_with_menu().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let shell = site.url(&format!("/agent/v1/{SHELL_PATH}"));
    let nobody = site.client(None, None).get(&shell).send().await.unwrap();
    assert_eq!(nobody.status(), 404, "who has no rescue gets no shell");
    let text = script(&site, Some("rescue")).await;
    let shell = site.client(None, None).get(shell).send().await.unwrap();
    assert_eq!(shell.bytes().await.unwrap(), static_program());
    let args = BootArgs::parse(&text).unwrap();
    assert_eq!(args.purpose, Purpose::Rescue);
    // The ticket is valid for a rescue only.
    let claim = site.claim(&args, &Key::new(), None).await.err().unwrap();
    assert_eq!(claim.code, "ticket-unknown");

    let begun = ask(&site, &args, RescueStep::Begin {}).await.unwrap();
    assert_eq!((begun.open, begun.seconds_left), (false, 1800));
    assert!(begun.message.contains(&format!("slipway rescue {}", agent.id)));
    assert!(!types(&site, &args, "").await.open, "nobody has made a password");
    let made = site.ask(routes::RESCUE, [agent.id.as_str()]).await.unwrap();
    assert_eq!((made.machine.clone(), made.menu_seconds), (agent.id.clone(), 3));
    let wrong = types(&site, &args, "wrong").await;
    assert_eq!((wrong.open, wrong.wait_seconds), (false, 1));
    let early = types(&site, &args, &made.password).await;
    assert!(
        !early.open && early.message.contains("not so fast"),
        "{}",
        early.message
    );
    site.pass(2);
    let open = types(&site, &args, &format!(" {} ", made.password.to_uppercase())).await;
    assert_eq!((open.open, open.seconds_left), (true, 8 * 3600 - 2));
    assert!(
        types(&site, &args, &made.password).await.open,
        "on the other console too"
    );

    // The agent that ran before keeps its credentials: a rescue replaces nobody.
    agent.assignment(&site, "").await.unwrap();
    // The next boot ends the rescue, and its password opens no other.
    let again = BootArgs::parse(&script(&site, Some("rescue")).await).unwrap();
    assert!(!types(&site, &again, &made.password).await.open);
    let over = ask(&site, &args, RescueStep::Begin {}).await.unwrap_err();
    assert_eq!(over.code, "rescue-over");
    let history = site.history(&agent.id).await;
    let console: Vec<&str> = history
        .iter()
        .filter(|row| row.actor == Actor::Console)
        .map(|row| row.sentence.as_str())
        .collect();
    let expected = [
        "chose the rescue system",
        "password that admin created",
        "it booted again",
        "chose the rescue",
    ];
    assert_eq!(console.len(), expected.len(), "{console:?}");
    for (said, part) in console.iter().zip(expected) {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        history
            .iter()
            .filter(|row| row.actor == Actor::Console)
            .all(|row| row.state == "ready")
    );
}

#[tokio::test]
async fn a_rescue_that_is_left_on_ends_by_the_clock_and_guessing_voids_its_password() {
    let (site, _files) = site_with_menu().await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    let args = BootArgs::parse(&script(&site, Some("rescue")).await).unwrap();
    let made = site.ask(routes::RESCUE, [agent.id.as_str()]).await.unwrap();
    for n in 1..=20 {
        let wrong = types(&site, &args, "wrong").await;
        assert!(wrong.wait_seconds >= 1 && !wrong.open, "{n}");
        site.pass(61);
    }
    assert!(
        !types(&site, &args, &made.password).await.open,
        "void after twenty guesses"
    );
    let made = site.ask(routes::RESCUE, [agent.id.as_str()]).await.unwrap();
    assert!(types(&site, &args, &made.password).await.open);
    site.pass(9 * 3600);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let history = site.history(&agent.id).await;
        let said: Vec<&str> = history.iter().map(|row| row.sentence.as_str()).collect();
        if said.last().is_some_and(|s| *s == "Rescue ended: it timed out.") {
            assert!(
                said.iter().any(|s| s.contains("too many wrong passwords")),
                "{said:?}"
            );
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "waited 20 s for the rescue to end: {said:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn without_a_menu_nothing_can_be_chosen() {
    let (site, _files) = networked(|_| {}).await;
    let agent = site.boot(NIC).await;
    agent.report(&site, RunsOn::MiniOs).await.unwrap();
    assert!(!script(&site, None).await.contains("prompt"));
    // The files for the menu are missing too.
    let refused = script(&site, Some("rescue")).await;
    assert!(
        refused.contains("not possible: the server has no files for this choice"),
        "{refused}"
    );
    let refused = script(&site, Some("local-disk")).await;
    assert!(
        refused.contains("not possible: the boot menu is switched off"),
        "{refused}"
    );
}
