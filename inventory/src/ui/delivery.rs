//! Pages of orders, racks, hardware profiles and parts, and the phone page.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::task::Task;
use inventory_api::{MachineId, Problem};
use serde::Deserialize;

use super::Ui;
use super::pages::{Page, html, nothing_here, now, shell};
use super::session::SignedIn;
use super::view::delivery::{
    HardwareProfilePage, HardwareProfilesPage, OrderPage, OrdersPage, RackPage, RacksPage,
};
use super::view::parts::PartPage;
use super::view::phone::{PhoneAskPage, PhonePage};
use super::view::segment;
use crate::export;
use crate::service::Actor;

/// How long the locate LED blinks.
const LOCATE_SECONDS: u8 = 120;

pub(super) async fn orders(State(ui): State<Ui>, SignedIn(actor): SignedIn) -> Page {
    let orders = ui.service.orders().await?;
    let rechecks = ui.service.rechecks().await?;
    Ok(html(OrdersPage::new(
        shell("Orders", "Orders", Some(&actor)),
        &orders,
        rechecks.left,
    )))
}

pub(super) async fn order(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(number): Path<String>,
) -> Page {
    let order = ui.service.order(&number).await?;
    let title = format!("Order {}", order.order.number);
    Ok(html(OrderPage::new(shell(title, "Orders", Some(&actor)), &order)))
}

pub(super) async fn order_csv(State(ui): State<Ui>, _: SignedIn, Path(number): Path<String>) -> Page {
    let order = ui.service.order(&number).await?;
    Ok(export::csv_response(export::delivery(&order)))
}

pub(super) async fn racks(State(ui): State<Ui>, SignedIn(actor): SignedIn) -> Page {
    let racks = ui.service.racks().await?;
    Ok(html(RacksPage::new(
        shell("Racks", "Racks", Some(&actor)),
        &racks,
    )))
}

pub(super) async fn rack(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((room, rack)): Path<(String, String)>,
) -> Page {
    let view = ui.service.rack(&room, &rack).await?;
    let title = format!("{} {}", view.room, view.rack);
    Ok(html(RackPage::new(shell(title, "Racks", Some(&actor)), &view)))
}

pub(super) async fn hardware_profiles(State(ui): State<Ui>, SignedIn(actor): SignedIn) -> Page {
    let profiles = ui.service.hardware_profiles().await?;
    let shell = shell("Hardware profiles", "Orders", Some(&actor));
    Ok(html(HardwareProfilesPage::new(shell, &profiles)))
}

pub(super) async fn hardware_profile(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(name): Path<String>,
) -> Page {
    let profile = ui.service.hardware_profile(&name).await?;
    let machines = ui.service.profile_machines(&name).await?;
    let shell = shell(profile.name.clone(), "Orders", Some(&actor));
    Ok(html(HardwareProfilePage::new(shell, &profile, &machines)))
}

pub(super) async fn part(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path(serial): Path<String>,
) -> Page {
    let parts = ui.service.parts(&serial).await?;
    let shown: String = serial.chars().take(128).collect();
    let shell = shell(format!("Part {shown}"), "", Some(&actor));
    let names = ui.service.names_in(&parts).await?;
    Ok(html(PartPage::new(shell, &shown, &parts, &names, now())))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
}

/// `GET /p`: type or scan.
pub(super) async fn phone_ask(SignedIn(actor): SignedIn, Query(asked): Query<Asked>) -> Response {
    let q: String = asked.q.trim().chars().take(128).collect();
    // Two segments that addresses resolve away.
    if !q.is_empty() && q != "." && q != ".." {
        return Redirect::to(&format!("/p/{}", segment(&q))).into_response();
    }
    html(PhoneAskPage {
        shell: shell("At the rack", "Racks", Some(&actor)),
        query: q,
        message: String::new(),
        link: None,
    })
}

/// `GET /p/{key}`: the machine with this id, serial number, asset tag or MAC; the target of QR codes.
pub(super) async fn phone(State(ui): State<Ui>, SignedIn(actor): SignedIn, Path(key): Path<String>) -> Page {
    let missing = match ui.service.machine(&key).await {
        Ok(d) => {
            let name = d
                .machine
                .serial
                .clone()
                .unwrap_or_else(|| d.machine.id.to_string());
            return Ok(html(PhonePage::new(
                shell(name, "Racks", Some(&actor)),
                &d,
                now(),
            )));
        }
        Err(problem) if problem.status >= 500 => return Err(problem.into()),
        Err(problem) => problem,
    };
    let query: String = key.chars().filter(|c| !c.is_control()).take(128).collect();
    let (message, link) = if let Some(place) = ui.service.place_of_name(&key).await? {
        let href = format!("/racks/{}/{}", segment(&place.room), segment(&place.rack));
        let words = crate::import::place_name(&place);
        (
            format!("{query} has not reported yet. It belongs in {words}."),
            Some((href, "See the rack".to_owned())),
        )
    } else if ui.service.parts(&key).await.is_ok() {
        let href = format!("/parts/{}", segment(&key));
        (
            format!("{query} is a part, not a machine."),
            Some((href, "See its life".to_owned())),
        )
    } else if missing.status == 409 {
        (format!("{query}: {}", missing.detail), None)
    } else {
        (
            format!("Nothing is known of {query}: no machine reported it, and it is in no rack plan."),
            None,
        )
    };
    let mut page = html(PhoneAskPage {
        shell: shell("At the rack", "Racks", Some(&actor)),
        query,
        message,
        link,
    });
    *page.status_mut() = axum::http::StatusCode::NOT_FOUND;
    Ok(page)
}

#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    text: String,
    /// A box that is ticked: make the profile although the machine is not healthy.
    #[serde(default)]
    accept: Option<String>,
}

/// `POST /p/{key}/{what}`: check again, locate, mark as fixed.
pub(super) async fn phone_task(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((key, what)): Path<(MachineId, String)>,
    Form(words): Form<Words>,
) -> Page {
    ask(&ui, key.as_str(), &what, &words.text, &actor).await?;
    Ok(Redirect::to(&format!("/p/{key}")).into_response())
}

/// `POST /machines/{id}/task/{what}`: the same from the machine's page; burn-in and golden profile too.
pub(super) async fn machine_task(
    State(ui): State<Ui>,
    SignedIn(actor): SignedIn,
    Path((id, what)): Path<(MachineId, String)>,
    Form(words): Form<Words>,
) -> Page {
    if what == "golden" {
        let name = words.text.trim();
        ui.service
            .golden(id.as_str(), name, words.accept.is_some(), &actor)
            .await?;
        return Ok(Redirect::to(&format!("/hardware-profiles/{}", segment(name))).into_response());
    }
    ask(&ui, id.as_str(), &what, &words.text, &actor).await?;
    Ok(Redirect::to(&format!("/machines/{id}")).into_response())
}

async fn ask(ui: &Ui, key: &str, what: &str, text: &str, actor: &Actor) -> Result<(), Problem> {
    match what {
        "recheck" => ui.service.recheck(key, actor).await.map(drop),
        "fixed" => ui.service.fixed(key, text, actor).await.map(drop),
        "locate" => {
            let seconds = LOCATE_SECONDS;
            let task = Task::Identify { seconds };
            ui.service.ask_task(key, task, actor).await.map(drop)
        }
        "burn-in" => {
            let request = BurnInRequest::default();
            let task = Task::BurnIn { request };
            ui.service.ask_task(key, task, actor).await.map(drop)
        }
        _ => Err(nothing_here("There is no such thing to ask of a machine.")),
    }
}
