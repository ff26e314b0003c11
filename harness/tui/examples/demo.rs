//! Plays a scripted run to the terminal view, without a cluster: `cargo run -p harness-tui --example demo`.
//!
//! - `DEMO_FROM=33000` begins at that millisecond of the run;
//! - `DEMO_MODE=gameday` or `watch` is another kind of run;
//! - `DEMO_PANIC=view` panics on the view's thread when a note is written, `main` on the main thread, `other` on another one.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use harness_event::{CancelReason, Event, EventKind, Millis, RunMode, Verdict, verdict::testkit::START};
use harness_tui::{Options, Reply, Request, Sender, channel, run};

#[allow(dead_code, missing_docs, reason = "shared with tests and the benchmark")]
mod script;

fn main() {
    let variable = |name: &str| std::env::var(name).ok();
    let (sender, feed) = channel();
    let (asked, requests) = mpsc::channel();
    let panics = variable("DEMO_PANIC").unwrap_or_default();
    let in_view = panics == "view";
    let on_request = move |request: Request| {
        assert!(
            !(in_view && matches!(request, Request::WriteNote { .. })),
            "the demo was asked to panic in its view"
        );
        // The player may be gone already.
        let _ = asked.send(request);
    };
    let view = thread::Builder::new()
        .name("view".into())
        .spawn(move || run(Options::from_environment(variable), &feed, on_request))
        .expect("a thread");
    let mut player = Player::new(sender);
    player.play(&requests, &panics);
    drop(player);
    match view.join() {
        Ok(Ok(exit)) => {
            if let Some(screen) = exit.last_screen {
                println!("{screen}");
            }
        }
        Ok(Err(error)) => eprintln!("the view ended: {error}"),
        Err(_) => std::process::exit(101),
    }
}

/// Stands for the conductor.
struct Player {
    sender: Sender,
    rest: std::vec::IntoIter<Event>,
    told: Vec<Event>,
    /// The run's time at the player's start.
    from: Millis,
    started: Instant,
}

impl Player {
    fn new(sender: Sender) -> Self {
        let from = std::env::var("DEMO_FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
        let mut events = script::until(script::END);
        let mode = match std::env::var("DEMO_MODE").as_deref() {
            Ok("gameday") => RunMode::GameDay,
            Ok("watch") => RunMode::Watch,
            _ => RunMode::Scenario,
        };
        events[0].kind = script::started(mode);
        Self {
            sender,
            rest: events.into_iter(),
            told: Vec::new(),
            from: Millis(from),
            started: Instant::now(),
        }
    }

    fn now(&self) -> Millis {
        self.from + Millis::from(self.started.elapsed())
    }

    fn tell(&mut self, elapsed: Millis, kind: EventKind) {
        let event = Event { seq: self.told.len() as u64, at: START + elapsed, elapsed, kind };
        self.told.push(event.clone());
        self.sender.event(event);
    }

    fn play(&mut self, requests: &Receiver<Request>, panics: &str) {
        let mut next = self.rest.next();
        while let Some(event) = next.take() {
            let wait = (event.elapsed - self.now()).to_duration();
            if wait.is_zero() {
                self.tell(event.elapsed, event.kind);
                next = self.rest.next();
                continue;
            }
            if panics == "other" {
                let other = thread::spawn(|| panic!("the demo was asked to panic elsewhere"));
                drop(other.join());
            }
            assert!(
                panics != "main" || self.started.elapsed() < Duration::from_millis(500),
                "the demo was asked to panic"
            );
            match requests.recv_timeout(wait.min(Duration::from_millis(100))) {
                Ok(Request::Abort | Request::Finish) => return self.roll_back(),
                Ok(request) => self.answer(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            next = Some(event);
        }
        self.sender.conclude(Verdict::of(&self.told));
        self.sender.close();
    }

    fn answer(&mut self, request: Request) {
        let now = self.now();
        match &request {
            Request::WriteNote { text } => self.tell(now, EventKind::NoteWritten { text: text.clone() }),
            Request::StopFault { fault } => {
                self.tell(now, EventKind::FaultStopped { fault: fault.clone() });
                self.undo(fault);
            }
            _ => {
                let error = "the demo has no cluster".into();
                return self.sender.reply(Reply::Failed { request, error });
            }
        }
        self.sender.reply(Reply::Done { request });
    }

    fn undo(&mut self, fault: &str) {
        let fault = || fault.to_owned();
        let now = self.now();
        self.tell(now, EventKind::FaultRevertStarted { fault: fault(), sent_at: START + now });
        let detail = "deployment/postgres has 1 ready replica".into();
        self.tell(now, EventKind::FaultRevertVerified { fault: fault(), effect_at: START + now, detail });
    }

    fn roll_back(&mut self) {
        self.tell(self.now(), EventKind::RunCancelled { reason: CancelReason::Signal("SIGINT".into()) });
        self.sender.progress("scaling deployment/postgres to 1");
        // A rollback takes a while, here too.
        thread::sleep(Duration::from_millis(700));
        self.undo("database-down");
        self.tell(self.now(), EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) });
        self.sender.conclude(Verdict::of(&self.told));
        self.sender.close();
    }
}
