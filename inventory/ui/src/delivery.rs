//! Pages for purchase orders, racks, hardware profiles and parts, and the phone page.

use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use inventory_api::burn_in::BurnInRequest;
use inventory_api::lookup::Lookup;
use inventory_api::task::Task;
use inventory_api::{MachineId, Problem};
use serde::Deserialize;

use super::pages::{Page, html, nothing_here, now};
use super::session::SignedIn;
use super::view::delivery::{
    HardwareProfilePage, HardwareProfilesPage, OrderPage, OrdersPage, RackPage, RacksPage,
};
use super::view::parts::PartPage;
use super::view::phone::{PhoneAskPage, PhonePage};
use super::view::segment;
use files::export;

/// How long the locate LED blinks.
const LOCATE_SECONDS: u8 = 120;

pub(super) async fn orders(at: SignedIn) -> Page {
    let orders = at.service.orders().await?;
    let rechecks = at.service.rechecks().await?;
    Ok(html(OrdersPage::new(
        at.shell("Orders", "Orders"),
        &orders,
        rechecks.left,
    )))
}

pub(super) async fn order(at: SignedIn<String>) -> Page {
    let order = at.service.order(&at.path).await?;
    let title = format!("Order {}", order.order.number);
    Ok(html(OrderPage::new(at.shell(title, "Orders"), &order)))
}

pub(super) async fn order_csv(at: SignedIn<String>) -> Page {
    let order = at.service.order(&at.path).await?;
    Ok((export::CSV_HEADERS, export::delivery(&order)).into_response())
}

pub(super) async fn racks(at: SignedIn) -> Page {
    let racks = at.service.racks().await?;
    Ok(html(RacksPage::new(at.shell("Racks", "Racks"), &racks)))
}

pub(super) async fn rack(at: SignedIn<(String, String)>) -> Page {
    let (room, rack) = &at.path;
    let view = at.service.rack(room, rack).await?;
    let title = format!("{} {}", view.room, view.rack);
    Ok(html(RackPage::new(at.shell(title, "Racks"), &view)))
}

pub(super) async fn hardware_profiles(at: SignedIn) -> Page {
    let profiles = at.service.hardware_profiles().await?;
    let shell = at.shell("Hardware profiles", "Orders");
    Ok(html(HardwareProfilesPage::new(shell, &profiles)))
}

pub(super) async fn hardware_profile(at: SignedIn<String>) -> Page {
    let profile = at.service.hardware_profile(&at.path).await?;
    let machines = at.service.profile_machines(&at.path).await?;
    let shell = at.shell(&profile.name, "Orders");
    Ok(html(HardwareProfilePage::new(shell, &profile, &machines)))
}

pub(super) async fn part(at: SignedIn<String>) -> Page {
    let parts = at.service.parts(&at.path).await?;
    let shown: String = at.path.chars().take(128).collect();
    let shell = at.shell(format!("Part {shown}"), "");
    let names = at.service.names_in(&parts).await?;
    Ok(html(PartPage {
        shell,
        serial: &shown,
        parts: &parts,
        names: &names,
    }))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
}

/// `GET /p`: asks for a name to type or scan, and redirects to its page.
pub(super) async fn phone_ask(at: SignedIn, Query(asked): Query<Asked>) -> Response {
    let q: String = asked.q.trim().chars().take(128).collect();
    // Browsers drop `.` and `..` from a path.
    if !q.is_empty() && q != "." && q != ".." {
        return Redirect::to(&format!("/p/{}", segment(&q))).into_response();
    }
    html(PhoneAskPage {
        shell: at.shell("At the rack", "Racks"),
        query: q,
        message: String::new(),
        link: None,
    })
}

/// `GET /p/{key}`: the machine with this id, serial number, asset tag or MAC. QR codes lead here.
pub(super) async fn phone(at: SignedIn<String>) -> Page {
    let found = match at.service.lookup(&at.path).await {
        Ok(Lookup::Machine { id }) => {
            let d = at.service.machine(id.as_str()).await?;
            let name = d.machine.serial.clone().unwrap_or_else(|| id.to_string());
            return Ok(html(PhonePage::new(at.shell(name, "Racks"), &d, now())));
        }
        Err(problem) if problem.status >= 500 => return Err(problem.into()),
        found => found,
    };
    let query: String = at.path.chars().filter(|c| !c.is_control()).take(128).collect();
    let link = match &found {
        Ok(Lookup::Machines { .. }) => Some((format!("/machines?q={}", segment(&query)), "See them")),
        Ok(Lookup::Place { place: p }) => {
            let rack = format!("/racks/{}/{}", segment(&p.room), segment(&p.rack));
            Some((rack, "See the rack"))
        }
        Ok(Lookup::Part { serial, .. }) => {
            Some((format!("/parts/{}", segment(serial)), "See where it has been"))
        }
        Ok(Lookup::Machine { .. } | Lookup::Unknown) | Err(_) => None,
    };
    let message = match &found {
        Ok(found) => words::lookup::sentence(&query, found),
        Err(problem) => problem.detail.clone(),
    };
    let mut page = html(PhoneAskPage {
        shell: at.shell("At the rack", "Racks"),
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
    /// Ticked box: make the profile even if the machine is not healthy.
    #[serde(default)]
    accept: Option<String>,
}

/// `POST /p/{key}/{what}`: check again, locate, mark as fixed, from the phone page.
pub(super) async fn phone_task(at: SignedIn<(MachineId, String)>, Form(words): Form<Words>) -> Page {
    ask(&at, &words.text).await?;
    Ok(Redirect::to(&format!("/p/{}", at.path.0)).into_response())
}

/// `POST /machines/{id}/task/{what}`: the same from the machine's page, and burn-in and golden profile.
pub(super) async fn machine_task(at: SignedIn<(MachineId, String)>, Form(words): Form<Words>) -> Page {
    let (id, what) = &at.path;
    if what == "golden" {
        let name = words.text.trim();
        at.service
            .golden(id.as_str(), name, words.accept.is_some(), &at.actor)
            .await?;
        return Ok(Redirect::to(&format!("/hardware-profiles/{}", segment(name))).into_response());
    }
    ask(&at, &words.text).await?;
    Ok(Redirect::to(&format!("/machines/{id}")).into_response())
}

async fn ask(at: &SignedIn<(MachineId, String)>, text: &str) -> Result<(), Problem> {
    let ((id, what), actor) = (&at.path, &at.actor);
    let key = id.as_str();
    match what.as_str() {
        "recheck" => at.service.recheck(key, actor).await.map(drop),
        "fixed" => at.service.fixed(key, text, actor).await.map(drop),
        "locate" => {
            let seconds = LOCATE_SECONDS;
            let task = Task::Identify { seconds };
            at.service.ask_task(key, task, actor).await.map(drop)
        }
        "burn-in" => {
            let request = BurnInRequest::default();
            let task = Task::BurnIn { request };
            at.service.ask_task(key, task, actor).await.map(drop)
        }
        _ => Err(nothing_here("There is no such thing to ask of a machine.")),
    }
}
