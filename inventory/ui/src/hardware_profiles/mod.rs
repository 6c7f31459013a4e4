//! Hardware profiles: what a kind of machine must contain, and which machines differ from the others.

use askama::Template;
use inventory_api::check::{HardwareProfile, ProfileMachines};
use inventory_api::delivery::ProfileSummary;
use lifecycle::check::Outlier;
use lifecycle::delivery::receipt_of;
use serde_json::Value;

use super::page::{MAX_ROWS, Page, Shell, html};
use super::racks::receipt;
use super::session::SignedIn;
use words::text::timestamp;

#[derive(Template)]
#[template(path = "hardware_profiles/list.html")]
struct ListPage<'a> {
    shell: Shell,
    profiles: &'a [ProfileSummary],
}

#[derive(Template)]
#[template(path = "hardware_profiles/profile.html")]
struct ProfilePage<'a> {
    shell: Shell,
    name: &'a str,
    /// Field and value, as in a CSV file.
    fields: Vec<(String, String)>,
    of: &'a ProfileMachines,
    /// Machines that differ from the rest, and facts in which the machines form groups.
    odd: Vec<&'a Outlier>,
    groups: Vec<&'a Outlier>,
}

impl ProfilePage<'_> {
    /// Serial number of one of its machines, else the id.
    fn machine_name<'a>(&'a self, id: &'a str) -> &'a str {
        let machine = self.of.machines.iter().find(|m| m.machine.as_str() == id);
        machine.and_then(|m| m.serial.as_deref()).unwrap_or(id)
    }
}

pub(crate) async fn list(at: SignedIn) -> Page {
    Ok(html(ListPage {
        shell: at.shell("Hardware profiles", "Orders"),
        profiles: &at.service.hardware_profiles().await?,
    }))
}

pub(crate) async fn page(at: SignedIn<String>) -> Page {
    let profile = at.service.hardware_profile(&at.path).await?;
    let of = &at.service.profile_machines(&at.path).await?;
    let shown = of.outliers.iter().take(MAX_ROWS);
    let (odd, groups) = shown.partition(|o| matches!(o, Outlier::Odd { .. }));
    Ok(html(ProfilePage {
        shell: at.shell(&profile.name, "Orders"),
        name: &profile.name,
        fields: fields(&profile),
        of,
        odd,
        groups,
    }))
}

fn fields(profile: &HardwareProfile) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    if let Ok(value) = serde_json::to_value(profile) {
        flatten(&value, &mut String::new(), &mut fields);
    }
    fields.retain(|(field, _)| field != "name");
    fields
}

/// Appends a profile as lines, such as ("memory.dimms[0].slot", "A1"); bounded.
fn flatten(value: &Value, path: &mut String, out: &mut Vec<(String, String)>) {
    if out.len() >= MAX_ROWS {
        return;
    }
    let length = path.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                flatten(value, path, out);
                path.truncate(length);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                flatten(value, path, out);
                path.truncate(length);
            }
        }
        Value::Null => {}
        Value::String(text) => out.push((path.clone(), text.clone())),
        Value::Bool(_) | Value::Number(_) => out.push((path.clone(), value.to_string())),
    }
}
