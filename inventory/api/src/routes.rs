//! The requests of `/v1`. Server and client take method, path and types from this table, so that they cannot
//! disagree.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::burn_in::BurnInRequest;
use crate::check::{HardwareProfile, ProfileMachines};
use crate::conflict::{Conflicts, ResolveConflict};
use crate::delivery::{OrderDelivery, OrderSummary, ProfileSummary, RackDelivery, RackView};
use crate::image::ImageManifest;
use crate::import::{GoldenProfile, ImportReport, Rechecks, Removed};
use crate::loader::LoaderOverview;
use crate::lookup::Lookup;
use crate::machine::{
    DeployResponse, Deployment, HistoryEntry, Journey, MachineDetail, MachineFilter, MachineSummary, Profile,
    VerbResponse,
};
use crate::network::{NetworkStatus, ReserveAddress};
use crate::page::Page;
use crate::parts::PartLife;
use crate::plan::InstallPlan;
use crate::rescue::RescuePassword;
use crate::task::{Fixed, Identify, TaskStatus};

/// A request: `Sent` is the query of a `GET` and the JSON body of any other method; `()` is nothing.
pub struct Route<const KEYS: usize, Sent, Answer> {
    /// Method.
    pub method: Method,
    /// Path; each of the `KEYS` segments in braces is replaced by a name.
    pub path: &'static str,
    types: PhantomData<fn(Sent) -> Answer>,
}

/// HTTP method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all: RFC 9110, section 9.3")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// Sent or answered, and not JSON: a file, or a stream of events.
pub enum Raw {}

const fn keys(path: &str) -> usize {
    let (bytes, mut at, mut keys) = (path.as_bytes(), 0, 0);
    while at < bytes.len() {
        keys += (bytes[at] == b'{') as usize;
        at += 1;
    }
    keys
}

macro_rules! routes {
    ($($name:ident = $method:ident $path:literal $sent:ty => $answer:ty;)*) => {$(
        #[doc = concat!("`", stringify!($method), " ", $path, "`")]
        pub const $name: Route<{ keys($path) }, $sent, $answer> = Route {
            method: Method::$method,
            path: $path,
            types: PhantomData,
        };
    )*};
}

routes! {
    HEALTH = Get "/v1/health" () => Health;
    EVENTS = Get "/v1/events" () => Raw;

    LOOKUP = Get "/v1/lookup/{key}" () => Lookup;

    MACHINES = Get "/v1/machines" MachineFilter => Page<MachineSummary>;
    MACHINE = Get "/v1/machines/{key}" () => MachineDetail;
    HISTORY = Get "/v1/machines/{key}/history" Older => Page<HistoryEntry>;
    PLAN = Get "/v1/machines/{key}/plan" () => InstallPlan;
    DEPLOY = Post "/v1/machines/{key}/deploy" Deployment => DeployResponse;
    VERB = Post "/v1/machines/{key}/{verb}" () => VerbResponse;
    CONFLICTS = Get "/v1/machines/{key}/conflict" () => Conflicts;
    RESOLVE_CONFLICT = Post "/v1/machines/{key}/conflict" ResolveConflict => Conflicts;
    RESCUE = Post "/v1/machines/{key}/rescue" () => RescuePassword;
    RECHECK = Post "/v1/machines/{key}/recheck" () => Option<TaskStatus>;
    FIXED = Post "/v1/machines/{key}/fixed" Fixed => Option<TaskStatus>;
    IDENTIFY = Post "/v1/machines/{key}/identify" Identify => TaskStatus;
    BURN_IN = Post "/v1/machines/{key}/burn-in" BurnInRequest => TaskStatus;
    GOLDEN = Post "/v1/machines/{key}/golden" GoldenProfile => ImportReport;

    IMAGES = Get "/v1/images" () => Page<ImageManifest>;
    PROFILES = Get "/v1/profiles" () => Page<Profile>;

    HARDWARE_PROFILES = Get "/v1/hardware-profiles" () => Page<ProfileSummary>;
    IMPORT_HARDWARE_PROFILES = Post "/v1/hardware-profiles" Raw => ImportReport;
    HARDWARE_PROFILE = Get "/v1/hardware-profiles/{name}" () => HardwareProfile;
    REMOVE_HARDWARE_PROFILE = Delete "/v1/hardware-profiles/{name}" () => Removed;
    PROFILE_MACHINES = Get "/v1/hardware-profiles/{name}/machines" () => ProfileMachines;

    ORDERS = Get "/v1/orders" () => Page<OrderSummary>;
    IMPORT_ORDERS = Post "/v1/orders" Raw => ImportReport;
    ORDER = Get "/v1/orders/{number}" () => OrderDelivery;
    REMOVE_ORDER = Delete "/v1/orders/{number}" () => Removed;
    DELIVERY_CSV = Get "/v1/orders/{number}/delivery.csv" () => Raw;

    RACKS = Get "/v1/racks" () => Page<RackDelivery>;
    IMPORT_RACKS = Post "/v1/racks" Raw => ImportReport;
    RACK = Get "/v1/racks/{room}/{rack}" () => RackView;
    REMOVE_RACK = Delete "/v1/racks/{room}/{rack}" () => Removed;
    REMOVE_PLACE = Delete "/v1/racks/{room}/{rack}/{unit}" () => Removed;
    RECHECKS = Get "/v1/rechecks" () => Rechecks;

    PARTS = Get "/v1/parts/{serial}" () => Page<PartLife>;

    JOURNEY = Get "/v1/journey/{mac}" () => Journey;
    FORGET_LOADER = Delete "/v1/journey/{mac}/loader" () => Journey;
    LOADERS = Get "/v1/loaders" () => LoaderOverview;
    FORGET_MODEL = Delete "/v1/loaders/{model}" () => LoaderOverview;

    NETWORKS = Get "/v1/networks" () => Page<NetworkStatus>;
    RESERVE = Put "/v1/networks/{name}/reservations/{mac}" ReserveAddress => NetworkStatus;
    UNRESERVE = Delete "/v1/networks/{name}/reservations/{mac}" () => NetworkStatus;
    END_QUARANTINE = Delete "/v1/networks/{name}/quarantine/{address}" () => NetworkStatus;
}

/// `GET /v1/health`, when the server can store; otherwise the answer is a [`crate::Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always true.
    pub ok: bool,
}

/// Query of `GET /v1/machines/{key}/history`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Older {
    /// Only rows before this one; absent: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}
