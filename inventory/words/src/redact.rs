//! Plans and requests without password hashes, as people see them. Those kept after a deployment have no
//! scripts either.

use inventory_api::deploy::{Account, DeployRequest, Script};
use inventory_api::plan::{InstallPlan, Step};

fn accounts(accounts: &mut [Account]) {
    for account in accounts {
        account.password_hash = account.password_hash.as_ref().map(|_| "(left out)".to_owned());
    }
}

fn scripts(scripts: &mut [Script]) {
    for script in scripts {
        script.content = "#!/bin/false\n# left out: the deployment is over\n".to_owned();
    }
}

/// The request of a past deployment, without password hashes and the content of scripts.
pub fn past_request(request: DeployRequest) -> DeployRequest {
    let mut past = self::request(request);
    scripts(&mut past.scripts);
    past
}

/// The plan of a past deployment, without password hashes and the content of scripts.
pub fn past_plan(plan: InstallPlan) -> InstallPlan {
    let mut past = self::plan(plan);
    for step in &mut past.steps {
        if let Step::Scripts { scripts: list } = step {
            scripts(list);
        }
    }
    past
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
