//! Tasks of one kind, each of which lives as long as what it takes care of.

use tokio::task::{JoinError, JoinSet};

/// The tasks of faults, or of loads.
pub(super) struct Tasks {
    /// Of which thing one is, for people: `fault`.
    of: &'static str,
    tasks: JoinSet<()>,
}

impl Tasks {
    /// None yet.
    pub(super) fn of(thing: &'static str) -> Self {
        Self { of: thing, tasks: JoinSet::new() }
    }

    /// Starts one.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until one is over; pending if there is none. `Err` if it panicked.
    pub(super) async fn next_over(&mut self) -> Result<(), String> {
        match self.tasks.join_next().await {
            Some(over) => over.map_err(|error| self.failed(&error)),
            None => std::future::pending().await,
        }
    }

    /// Waits for all. `Err` if one panicked.
    pub(super) async fn all_over(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        while let Some(over) = self.tasks.join_next().await {
            if let Err(error) = over {
                result = Err(self.failed(&error));
            }
        }
        result
    }

    fn failed(&self, error: &JoinError) -> String {
        format!("a {}'s task failed: {error}", self.of)
    }
}
