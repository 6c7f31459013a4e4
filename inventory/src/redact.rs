//! What people see of plans and requests: no password hashes.

use inventory_api::deploy::{Account, DeployRequest};
use inventory_api::plan::{InstallPlan, Step};

fn accounts(accounts: &mut [Account]) {
    for account in accounts {
        account.password_hash = account.password_hash.as_ref().map(|_| "(left out)".to_owned());
    }
}

/// A request without password hashes.
pub fn request(mut request: DeployRequest) -> DeployRequest {
    accounts(&mut request.accounts);
    request
}

/// A plan without password hashes.
pub fn plan(mut plan: InstallPlan) -> InstallPlan {
    for step in &mut plan.steps {
        if let Step::Accounts { accounts: list } = step {
            accounts(list);
        }
    }
    plan
}
