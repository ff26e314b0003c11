//! What a view asks for is done here, beside the run.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use harness_engine::{Log, LogOf, Tail, conductor::Control, describe_pod, read_pod_log};
use harness_event::EventKind;
use harness_tui::{Reply, Request, Sender};
use tokio::sync::{
    mpsc::{self, UnboundedReceiver},
    oneshot,
};

/// Wishes of the person at the keys, in order.
pub(crate) type Wishes = UnboundedReceiver<Request>;

/// Longest remark, in characters.
const LONGEST_NOTE: usize = 2000;

/// What requests are answered with.
#[derive(Clone)]
pub(crate) struct Host {
    client: kube::Client,
    /// Where notes go; none where nothing is recorded, or nothing more.
    log: Arc<Mutex<Option<Log>>>,
    control: Option<mpsc::Sender<Control>>,
    /// What a game day answers itself.
    game_day: Option<Answers>,
    /// Ends what is viewed.
    end: Arc<dyn Fn() + Send + Sync>,
}

/// Answers to some requests; none to others.
pub(crate) type Answers = Arc<dyn Fn(Request) -> BoxFuture<'static, Option<Reply>> + Send + Sync>;

impl Host {
    /// Of something that is not recorded and changes nothing. `end` ends it.
    pub(crate) fn new(client: kube::Client, end: impl Fn() + Send + Sync + 'static) -> Self {
        Self { client, log: Arc::default(), control: None, game_day: None, end: Arc::new(end) }
    }

    /// Of a run with a log and a way to ask it for things.
    pub(crate) fn of_run(self, log: Log, control: mpsc::Sender<Control>) -> Self {
        Self { log: Arc::new(Mutex::new(Some(log))), control: Some(control), ..self }
    }

    /// Of a game day, which answers most requests itself.
    pub(crate) fn of_game_day(self, answers: Answers) -> Self {
        Self { game_day: Some(answers), ..self }
    }

    /// The same, with no way to command a game day.
    pub(crate) fn without_game_day(self) -> Self {
        Self { game_day: None, ..self }
    }

    /// No more facts are recorded by this host: the log may end.
    pub(crate) fn end_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Answers until the view is gone. One request does not wait for another.
    pub(crate) async fn serve(self, mut wishes: Wishes, view: Sender) {
        while let Some(request) = wishes.recv().await {
            let (host, view) = (self.clone(), view.clone());
            tokio::spawn(async move {
                if let Some(reply) = host.answer(request).await {
                    view.reply(reply);
                }
            });
        }
    }

    async fn answer(&self, request: Request) -> Option<Reply> {
        if let Some(reply) = about_pods(&self.client, &request).await {
            return Some(reply);
        }
        if let Some(answers) = &self.game_day
            && let Some(reply) = answers(request.clone()).await
        {
            return Some(reply);
        }
        let result = match &request {
            Request::Abort | Request::Finish => {
                (self.end)();
                Ok(())
            }
            Request::StopFault { fault } => self.stop_fault(fault).await,
            Request::WriteNote { text } => self.write_note(text),
            _ => Err("this is for game days: `harness gameday`".to_owned()),
        };
        Some(match result {
            Ok(()) => Reply::Done { request },
            Err(error) => Reply::Failed { request, error },
        })
    }

    async fn stop_fault(&self, fault: &str) -> Result<(), String> {
        let over = || "the run has no faults any more".to_owned();
        let control = self.control.as_ref().ok_or_else(|| "nothing is injected here".to_owned())?;
        let (answer, answered) = oneshot::channel();
        let wish = Control::StopFault { fault: fault.to_owned(), answer };
        control.send(wish).await.map_err(|_| over())?;
        answered.await.map_err(|_| over())?
    }

    fn write_note(&self, text: &str) -> Result<(), String> {
        let text: String = text.trim().chars().take(LONGEST_NOTE).collect();
        if text.is_empty() {
            return Err("a note needs a text".to_owned());
        }
        match &*self.log.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(log) => {
                log.record(EventKind::NoteWritten { text });
                Ok(())
            }
            None => Err("nothing is recorded here".to_owned()),
        }
    }
}

/// The answer to a request that is about a pod; none to others.
pub(crate) async fn about_pods(client: &kube::Client, request: &Request) -> Option<Reply> {
    match request {
        Request::DescribePod { namespace, pod } => Some(match describe_pod(client, namespace, pod).await {
            Ok(text) => Reply::PodDescribed { namespace: namespace.clone(), pod: pod.clone(), text },
            Err(error) => Reply::Failed { request: request.clone(), error },
        }),
        Request::PodLog { namespace, pod, container, previous } => {
            let of = LogOf {
                namespace: namespace.clone(),
                pod: pod.clone(),
                container: container.clone(),
                previous: *previous,
            };
            Some(Reply::PodLog(read_pod_log(client, &of, Tail::SCREEN, "asked for").await))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn host(ended: &Arc<AtomicUsize>) -> Host {
        let nowhere = kube::Client::new(axum::Router::<()>::new(), "default");
        let ended = ended.clone();
        Host::new(nowhere, move || {
            ended.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn failed(reply: Option<Reply>) -> String {
        match reply {
            Some(Reply::Failed { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_not_recorded_takes_no_notes_and_has_no_faults() {
        let ended = Arc::default();
        let host = host(&ended);
        let note = || Request::WriteNote { text: "x".into() };
        assert_eq!(failed(host.answer(note()).await), "nothing is recorded here");
        let stop = Request::StopFault { fault: "db".into() };
        assert_eq!(failed(host.answer(stop).await), "nothing is injected here");
        assert!(failed(host.answer(Request::ReadCatalogue).await).contains("harness gameday"));
        assert_eq!(host.answer(Request::Finish).await, Some(Reply::Done { request: Request::Finish }));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn notes_and_wishes_reach_the_run() {
        let (control, mut wishes) = mpsc::channel(1);
        let log = Log::unrecorded();
        let host = host(&Arc::default()).of_run(log.clone(), control);
        let note = |text: &str| Request::WriteNote { text: text.into() };
        assert_eq!(host.answer(note(" it works ")).await, Some(Reply::Done { request: note(" it works ") }));
        assert_eq!(failed(host.answer(note("  ")).await), "a note needs a text");
        assert!(matches!(&log.events()[0].kind, EventKind::NoteWritten { text } if text == "it works"));
        let stop = || Request::StopFault { fault: "db".into() };
        let conductor = async {
            let Some(Control::StopFault { fault, answer }) = wishes.recv().await else { panic!("no wish") };
            answer.send(Err(format!("{fault} is over"))).unwrap();
        };
        let (reply, ()) = tokio::join!(host.answer(stop()), conductor);
        assert_eq!(failed(reply), "db is over");
        drop(wishes);
        assert_eq!(failed(host.answer(stop()).await), "the run has no faults any more");
        host.end_log();
        assert_eq!(failed(host.answer(note("late")).await), "nothing is recorded here");
    }

    #[tokio::test]
    async fn a_pod_that_cannot_be_read_is_an_answer_too() {
        let host = host(&Arc::default());
        let describe = Request::DescribePod { namespace: "a".into(), pod: "b".into() };
        assert!(!failed(host.answer(describe).await).is_empty());
        let log =
            Request::PodLog { namespace: "a".into(), pod: "b".into(), container: None, previous: false };
        let Some(Reply::PodLog(log)) = host.answer(log).await else { panic!("no log") };
        assert!(log.error.is_some());
    }
}
