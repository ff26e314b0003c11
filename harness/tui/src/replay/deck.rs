//! The thread that plays a tape to a view.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use harness_event::Millis;

use super::{Player, Step, Tape};
use crate::{ReplayCommand, Reply, Request, Sender};

/// A tape that is played.
#[derive(Debug)]
pub struct Deck {
    commands: mpsc::Sender<ReplayCommand>,
    view: Sender,
    thread: Option<JoinHandle<()>>,
}

impl Deck {
    /// The position is said so often while it plays.
    const TICK: Duration = Duration::from_millis(50);

    /// Begins to play: at this time since the start of the run, at this speed (seconds of the run in one second).
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(tape: Tape, view: Sender, from: Millis, speed: f64) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let player = Player::new(Arc::new(tape), speed);
        let to = view.clone();
        let thread =
            thread::Builder::new().name("replay".into()).spawn(move || play(player, from, &to, &received))?;
        Ok(Self { commands, view, thread: Some(thread) })
    }

    /// What the person at the keys wants. What only the cluster could answer was not recorded.
    pub fn request(&self, request: Request) {
        match request {
            Request::Replay(command) => {
                // The thread ends with this value: it is there.
                let _ = self.commands.send(command);
            }
            Request::Abort | Request::Finish => {}
            request => {
                let error = match &request {
                    Request::DescribePod { .. } | Request::PodLog { .. } => {
                        "not recorded: a replay shows what the run's log holds"
                    }
                    _ => "a replay changes nothing",
                };
                self.view.reply(Reply::Failed { request, error: error.into() });
            }
        }
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        // The thread ends when nobody can command it any more.
        let (closed, _) = mpsc::channel();
        self.commands = closed;
        if let Some(thread) = self.thread.take() {
            // A panic of it was shown by the view.
            let _ = thread.join();
        }
    }
}

fn play(mut player: Player, from: Millis, view: &Sender, commands: &Receiver<ReplayCommand>) {
    tell(view, player.go_to_time(from), &player);
    let mut before = Instant::now();
    loop {
        let received = match player.next_in() {
            Some(next) => commands.recv_timeout(next.min(Deck::TICK)),
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let now = Instant::now();
        let passed = now - before;
        before = now;
        // What was played until the command came counts; the time in which it stood does not pass.
        let mut steps = player.pass(passed);
        match received {
            Ok(command) => steps.extend(player.command(command)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        tell(view, steps, &player);
    }
}

fn tell(view: &Sender, steps: Vec<Step>, player: &Player) {
    for step in steps {
        match step {
            Step::Event(event) => view.event(*event),
            Step::Concluded(verdict) => view.conclude(*verdict),
            Step::Replaced(state) => view.replace(*state),
        }
    }
    view.playback(player.playback());
}
