//! One user: its connections, its values, its turns.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, header::CONNECTION};
use rand::Rng;
use tokio::time::{self, Sleep};

use super::{
    connection::{Answer, Connection, Exchange, Failure},
    extract::extract,
    record::Outcome,
    request::{Outgoing, Step},
    shared::{Mode, Shared},
    template::Fill,
};

/// Servers to which one user keeps a connection. The one that was used least recently is closed when there are more.
const CONNECTIONS: usize = 16;
/// Between two looks of a user at a load that is over. goose asks again at once.
const IDLE: Duration = Duration::from_millis(20);

/// State of a user between its requests.
pub(super) struct User {
    values: Vec<Option<String>>,
    /// The most recently used one last.
    connections: Vec<Connection>,
    limit: Option<Pin<Box<Sleep>>>,
    /// Rounds, or with weights requests, that have begun.
    rounds: u64,
    running: bool,
}

/// Which step is next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// This one.
    Step(usize),
    /// One by its weight.
    Weighted,
}

impl User {
    /// A user that knows the values of the setup.
    pub(super) fn new(values: Vec<Option<String>>) -> Self {
        Self { values, connections: Vec::new(), limit: None, rounds: 0, running: false }
    }

    /// Carries out a step and gives its answer; for the setup.
    pub(super) async fn once(&mut self, context: &Context<'_>, step: &Step) -> Result<Answer, Failure> {
        self.request(context, 0, 0, step).await
    }

    /// The values it has.
    pub(super) fn into_values(self) -> Vec<Option<String>> {
        self.values
    }

    async fn request(
        &mut self,
        context: &Context<'_>,
        user: u64,
        round: u64,
        step: &Step,
    ) -> Result<Answer, Failure> {
        let outgoing = step.render(Fill { user, round, values: &self.values }).map_err(|_| Failure::Value)?;
        let until = time::Instant::now() + step.timeout;
        // One timer for all requests of the user: to put it off is cheap, to make one is not.
        let limit = match &mut self.limit {
            Some(limit) => {
                limit.as_mut().reset(until);
                limit
            }
            none => none.insert(Box::pin(time::sleep_until(until))),
        };
        let answer = send(&mut self.connections, limit, context, outgoing, step.keep_body).await?;
        if !step.extract.is_empty() {
            extract(&step.extract, &answer.headers, &answer.body, &mut self.values);
        }
        Ok(answer)
    }
}

/// What a connection is made with.
pub(super) struct Context<'a> {
    /// For servers that want TLS.
    pub(super) tls: Option<&'a tokio_rustls::TlsConnector>,
    /// Requests after which it is closed.
    pub(super) per_connection: Option<u32>,
}

async fn send(
    connections: &mut Vec<Connection>,
    limit: &mut Pin<Box<Sleep>>,
    context: &Context<'_>,
    outgoing: Outgoing,
    keep_body: bool,
) -> Result<Answer, Failure> {
    let Outgoing { place, mut request } = outgoing;
    let mut connection = None;
    let known = connections.iter().rposition(|open| *open.place == *place);
    if let Some(at) = known {
        let mut kept = connections.remove(at);
        if kept.is_usable(limit).await? {
            connection = Some(kept);
        }
    }
    loop {
        let mut open = match connection.take() {
            Some(kept) => kept,
            None => Connection::open(&place, context.tls, limit).await?,
        };
        let last = context.per_connection.is_some_and(|most| open.served + 1 >= most);
        if last {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let fresh = open.served == 0;
        match open.exchange(request, keep_body, limit).await {
            Exchange::Done(answer) => {
                // After a failure nobody knows what is still to come on it.
                if answer.is_ok() && !last {
                    if connections.len() >= CONNECTIONS {
                        connections.remove(0);
                    }
                    connections.push(open);
                }
                return answer;
            }
            // Nothing of it was written: to send it on another connection hides nothing.
            Exchange::NotSent(unsent) if !fresh => request = without_close(unsent),
            Exchange::NotSent(_) => return Err(Failure::Reset),
        }
    }
}

fn without_close<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().remove(CONNECTION);
    request
}

/// One turn of a user: it waits until it may send a request, sends it, counts it, thinks. Returns early, without a request,
/// only when the load is over.
pub(super) async fn turn(shared: Arc<Shared>, index: usize, choice: Choice) {
    let slot = &shared.users[index];
    let Some(mut user) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let done = user.turn(&shared, index, choice).await;
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
    if done.is_none() {
        time::sleep(IDLE).await;
    }
}

impl User {
    async fn turn(&mut self, shared: &Shared, index: usize, choice: Choice) -> Option<()> {
        if !self.running {
            self.wait_for_start(shared, index).await?;
        }
        let start = wait_for_turn(shared).await;
        let step = match choice {
            Choice::Step(step) => step,
            Choice::Weighted => weighted(&shared.weights),
        };
        let round = self.rounds;
        if !matches!(choice, Choice::Step(at) if at + 1 < shared.requests.steps.len()) {
            self.rounds += 1;
        }
        let start = match start {
            Some(start) if shared.try_begin() => start,
            _ => {
                self.leave(shared);
                return None;
            }
        };
        let start = start.unwrap_or_else(Instant::now);
        let phase = shared.phase_of(start);
        let context = Context { tls: shared.tls.as_ref(), per_connection: shared.per_connection };
        let step_of = &shared.requests.steps[step];
        let answer = self.request(&context, index as u64, round, step_of).await;
        let failed = !matches!(&answer, Ok(answer) if answer.status == step_of.status);
        shared.recorder.record(
            index,
            &Outcome {
                phase,
                step,
                start,
                end: Instant::now(),
                answer: answer.map(|answer| (answer.status, answer.length)),
                failed,
            },
        );
        shared.finish();
        if let Some((from, to)) = step_of.think {
            let pause = if from < to { rand::rng().random_range(from..=to) } else { from };
            sleep_unless_over(shared, pause).await;
        }
        Some(())
    }

    async fn wait_for_start(&mut self, shared: &Shared, index: usize) -> Option<()> {
        if shared.mode() == Mode::Over {
            return None;
        }
        if shared.arrived.fetch_add(1, Ordering::SeqCst) + 1 == shared.users.len() {
            shared.all_arrived.notify_one();
        }
        if shared.until(|mode| mode != Mode::Waiting).await == Mode::Over {
            return None;
        }
        let wait = shared.start_of(index).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            sleep_unless_over(shared, wait).await;
        }
        if shared.mode() == Mode::Over {
            return None;
        }
        self.running = true;
        shared.running.fetch_add(1, Ordering::SeqCst);
        Some(())
    }

    fn leave(&mut self, shared: &Shared) {
        if self.running {
            self.running = false;
            shared.running.fetch_sub(1, Ordering::SeqCst);
        }
        self.connections.clear();
    }
}

/// None when the load is over; else the intended start if there is a schedule.
async fn wait_for_turn(shared: &Shared) -> Option<Option<Instant>> {
    let due = match &shared.pacer {
        Some(pacer) => pacer.wait().await,
        None => true,
    };
    if !due {
        return None;
    }
    if shared.mode() == Mode::Paused {
        shared.until(|mode| mode != Mode::Paused).await;
    }
    if shared.mode() == Mode::Over {
        return None;
    }
    Some(shared.pacer.as_ref().map(|pacer| pacer.take()))
}

async fn sleep_unless_over(shared: &Shared, length: Duration) {
    tokio::select! {
        () = time::sleep(length) => {}
        () = shared.over() => {}
    }
}

/// A step by its weight; all of them alike if none has one.
fn weighted(sums: &[u64]) -> usize {
    match sums.last() {
        Some(&total) if total > 0 => {
            let at = rand::rng().random_range(0..total);
            sums.partition_point(|&sum| sum <= at)
        }
        _ => rand::rng().random_range(0..sums.len()),
    }
}
