//! Verbs: what people ask of a machine, other than a deployment.

use inventory_api::MachineId;
use inventory_api::machine::{Actor, Verb, VerbResponse};
use lifecycle::State;
use lifecycle::booting::ADMITTED_SECONDS;
use lifecycle::verbs::{event_of, may_forget};

use crate::problem::{Result, VERB_INCOMPLETE, WRONG_STATE};
use crate::{Service, Turn};
use store::{MachineRow, StoreError};

impl Service {
    /// Carries out a verb other than deploy.
    pub async fn verb(&self, key: &str, verb: Verb, actor: &Actor) -> Result<VerbResponse> {
        let row = self.find(key).await?;
        if verb == Verb::Forget {
            return self.forget_machine(row, actor).await;
        }
        let event = event_of(verb)
            .ok_or_else(|| VERB_INCOMPLETE.because(format!("{verb} needs more than the machine")))?;
        let service = self.clone();
        let work = async move |mut turn: Turn| {
            let state = turn.advance(&row.id, event).await?.state;
            // A person asked for the machine: keep addresses for it from now on.
            turn.put_known(&row.id).await?;
            if verb == Verb::Admit {
                let (id, until) = (row.id.clone(), turn.now.plus_seconds(ADMITTED_SECONDS));
                turn.then(move |core| {
                    core.memory.sessions.update(&id, |session| {
                        session.admitted_until = Some(until);
                        session.held = None;
                    });
                });
            }
            turn.commit().await?;
            if verb == Verb::Retire {
                service.end_reservations(&row.macs).await;
            }
            service.verb_response(&row, &state).await
        };
        self.turn(actor, work).await
    }

    /// Forgets a retired machine, or one that never got past its first boot script.
    async fn forget_machine(&self, row: MachineRow, actor: &Actor) -> Result<VerbResponse> {
        let id = row.id.clone();
        let mut answer = self.verb_response(&row, &row.state).await?;
        answer.status.verbs.clear();
        if !may_forget(&row.state, row.last_seen.is_some()) {
            let detail = format!("cannot forget {id}, which has claimed: retire it first");
            return Err(WRONG_STATE.because(detail));
        }
        let work = async move |mut turn: Turn| {
            if !turn.forget_machine(&id).await? {
                let detail = format!("cannot forget {id}: other enrolments were found to be this machine");
                return Err(WRONG_STATE.because(detail));
            }
            let actor = turn.actor.clone();
            turn.commit().await?;
            tracing::info!(machine = %id, %actor, "a machine was forgotten");
            Ok(answer)
        };
        self.turn(actor, work).await
    }

    async fn verb_response(&self, row: &MachineRow, state: &State) -> Result<VerbResponse> {
        Ok(VerbResponse {
            status: self.status(row, state).await?,
            plan: state.plan().cloned(),
        })
    }
}

impl Turn {
    /// Forgets a machine and what the server remembers of it. False: other enrolments were folded into it.
    pub(crate) async fn forget_machine(&mut self, id: &MachineId) -> Result<bool, StoreError> {
        let forgotten = self.forget(id).await?;
        let id = id.clone();
        self.then(move |core| core.memory.forget(&id));
        Ok(forgotten)
    }
}
