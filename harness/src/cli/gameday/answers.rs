//! What the terminal view asks of a game day.

use std::sync::Arc;

use futures::FutureExt;
use harness_engine::conductor::{Controls, OfferedLoad};
use harness_event::FaultSpec;
use harness_tui::{FaultForm, Reply, Request};

use super::catalogue::{catalogue, preview};
use crate::view::Answers;

/// Answers of a game day with these controls.
pub(super) fn answers(controls: Controls, loads: Vec<OfferedLoad>) -> Answers {
    let loads = Arc::new(loads);
    Arc::new(move |request| {
        let (controls, loads) = (controls.clone(), loads.clone());
        async move { answer(&controls, &loads, request).await }.boxed()
    })
}

async fn answer(controls: &Controls, loads: &[OfferedLoad], request: Request) -> Option<Reply> {
    let result = match &request {
        Request::ReadCatalogue => return Some(Reply::Catalogue(catalogue(controls.targets().await, loads))),
        Request::PlanFault(form) => {
            let preview = match fault(form) {
                Ok(fault) => controls.plan(fault).await.map(preview).map_err(|error| vec![error]),
                Err(problems) => Err(problems),
            };
            return Some(Reply::FaultPlanned { form: form.clone(), preview });
        }
        Request::InjectFault(form) => match fault(form) {
            Ok(fault) => controls.inject(fault).await.map(drop),
            Err(problems) => Err(problems.join("; ")),
        },
        Request::StopFault { fault } => controls.stop_fault(fault).await,
        Request::StartLoad { load } => controls.start_load(load).await.map(drop),
        Request::StopLoad { load } => controls.stop_load(load).await,
        Request::WriteNote { text } => controls.note(text).await,
        Request::Finish => {
            controls.finish().await;
            Ok(())
        }
        _ => return None,
    };
    Some(match result {
        Ok(()) => Reply::Done { request },
        Err(error) => Reply::Failed { request, error },
    })
}

fn fault(form: &FaultForm) -> Result<FaultSpec, Vec<String>> {
    harness_scenario::catalogue::fault(&form.kind, &form.values)
}

#[cfg(test)]
mod tests {
    use harness_engine::conductor::{Command, Targets};

    use super::*;

    fn form(replicas: &str) -> FaultForm {
        let values = [("workload", "deployment/db"), ("replicas", replicas), ("duration", "10s")];
        let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
        FaultForm { kind: "scale".into(), values: values.into() }
    }

    #[tokio::test]
    async fn forms_are_checked_before_the_game_day_is_asked() {
        let (controls, mut commands) = Controls::new();
        let answers = answers(controls, vec![]);
        let bad = answers(Request::PlanFault(form("none"))).await;
        let Some(Reply::FaultPlanned { preview: Err(problems), .. }) = bad else { panic!("{bad:?}") };
        assert!(problems[0].contains("expected an integer"), "{problems:?}");
        assert!(matches!(answers(Request::InjectFault(form("none"))).await, Some(Reply::Failed { .. })));
        assert!(commands.try_recv().is_err());
    }

    #[tokio::test]
    async fn requests_become_commands() {
        let (controls, mut commands) = Controls::new();
        let answers = answers(controls, vec![]);
        let game_day = async {
            match commands.recv().await {
                Some(Command::Inject(fault, answer)) => answer.send(Ok(fault.name)).unwrap(),
                _ => panic!("no fault"),
            }
            match commands.recv().await {
                Some(Command::Targets(answer)) => {
                    let workloads = vec!["deployment/db".to_owned()];
                    let _ = answer.send(Ok(Targets { workloads, selectors: vec![] }));
                }
                _ => panic!("no question"),
            }
        };
        let view = async {
            let injected = answers(Request::InjectFault(form("0"))).await;
            assert_eq!(injected, Some(Reply::Done { request: Request::InjectFault(form("0")) }));
            let Some(Reply::Catalogue(catalogue)) = answers(Request::ReadCatalogue).await else { panic!() };
            let workload = &catalogue.faults[0].fields[0];
            assert_eq!(workload.input, harness_tui::FieldInput::Choice(vec!["deployment/db".into()]));
        };
        tokio::join!(game_day, view);
        drop(commands);
        let late = answers(Request::WriteNote { text: "late".into() }).await;
        assert!(matches!(late, Some(Reply::Failed { error, .. }) if error == "the game day is over"));
        assert_eq!(answers(Request::Abort).await, None, "that is the host's");
    }
}
