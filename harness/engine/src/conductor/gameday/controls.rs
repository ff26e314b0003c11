//! What people want in a game day, and what they are answered.

use harness_event::FaultSpec;
use tokio::sync::{mpsc, oneshot};

use super::targets::Targets;

/// Commands that wait to be carried out; more than a person can give.
const WAITING: usize = 64;
/// What is answered when nobody answers any more.
const OVER: &str = "the game day is over";

/// What a fault would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// Objects that it touches, `deployment/postgres`.
    pub targets: Vec<String>,
    /// What it does, in a sentence.
    pub effect: String,
    /// What undoes it.
    pub inverse: String,
    /// What one should know before.
    pub warnings: Vec<String>,
}

/// A wish, with the way back for its answer.
pub enum Command {
    /// What can be broken.
    Targets(oneshot::Sender<Result<Targets, String>>),
    /// What a fault would do, without doing it.
    Plan(FaultSpec, oneshot::Sender<Result<FaultPlan, String>>),
    /// Inject a fault. The answer is its name, once its inverse is durable and before it is applied.
    Inject(FaultSpec, oneshot::Sender<Result<String, String>>),
    /// Undo a fault before its time.
    StopFault(String, oneshot::Sender<Result<(), String>>),
    /// Start a load that is offered. The answer is its name, once its worker is ready.
    StartLoad(String, oneshot::Sender<Result<String, String>>),
    /// Stop a load.
    StopLoad(String, oneshot::Sender<Result<(), String>>),
    /// Write down a remark.
    Note(String, oneshot::Sender<Result<(), String>>),
    /// End the game day.
    Finish,
}

/// The other side of a game day's commands. When the last clone is dropped, the game day ends.
#[derive(Clone)]
pub struct Controls {
    commands: mpsc::Sender<Command>,
}

impl Controls {
    /// Controls, and what the game day reads from them.
    pub fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(WAITING);
        (Self { commands }, receiver)
    }

    /// What can be broken.
    ///
    /// # Errors
    /// If the cluster does not say; why, for people.
    pub async fn targets(&self) -> Result<Targets, String> {
        self.ask(Command::Targets).await
    }

    /// What a fault would do. Only reads.
    ///
    /// # Errors
    /// Why it could not be injected, for people.
    pub async fn plan(&self, fault: FaultSpec) -> Result<FaultPlan, String> {
        self.ask(|answer| Command::Plan(fault, answer)).await
    }

    /// Injects a fault; gives its name, which is another one if there was a fault or load of that name before.
    ///
    /// # Errors
    /// Why it is not injected, for people.
    pub async fn inject(&self, fault: FaultSpec) -> Result<String, String> {
        self.ask(|answer| Command::Inject(fault, answer)).await
    }

    /// Undoes a fault before its time; does not wait for it.
    ///
    /// # Errors
    /// If it is not on.
    pub async fn stop_fault(&self, fault: &str) -> Result<(), String> {
        self.ask(|answer| Command::StopFault(fault.to_owned(), answer)).await
    }

    /// Starts a load; gives its name, which is another one if it is started again.
    ///
    /// # Errors
    /// Why it could not be started, for people.
    pub async fn start_load(&self, load: &str) -> Result<String, String> {
        self.ask(|answer| Command::StartLoad(load.to_owned(), answer)).await
    }

    /// Stops a load; does not wait for the answers to its last requests.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn stop_load(&self, load: &str) -> Result<(), String> {
        self.ask(|answer| Command::StopLoad(load.to_owned(), answer)).await
    }

    /// Writes down a remark.
    ///
    /// # Errors
    /// If there is nothing to write down, or nobody to do it.
    pub async fn note(&self, text: &str) -> Result<(), String> {
        self.ask(|answer| Command::Note(text.to_owned(), answer)).await
    }

    /// Ends the game day; does not wait for it.
    pub async fn finish(&self) {
        // If nobody listens any more, it has ended.
        let _ = self.commands.send(Command::Finish).await;
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Command,
    ) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(command(answer)).await;
        sent.map_err(|_| OVER.to_owned())?;
        answered.await.unwrap_or_else(|_| Err(OVER.to_owned()))
    }
}
