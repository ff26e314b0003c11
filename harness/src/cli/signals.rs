//! SIGINT, SIGTERM and SIGHUP as futures, and as a wish to stop.

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::output::{ColorArg, Output};

/// Resolves with the signal's name when SIGINT, SIGTERM or SIGHUP arrives. From the first poll on, none of them ends the process any
/// more. SIGHUP is left alone where it is ignored: that is what `nohup` is for.
pub async fn stop_requested() -> &'static str {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let hang_up = if is_ignored(SignalKind::hangup()) { None } else { signal(SignalKind::hangup()).ok() };
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            () = received(hang_up) => "SIGHUP",
        },
        // The runtime has no signal driver; then the signals' default, ending the process, is what remains.
        _ => std::future::pending().await,
    }
}

async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether the process was started with a signal ignored, asked before anybody listens to it.
fn is_ignored(kind: SignalKind) -> bool {
    static AT_START: OnceLock<u64> = OnceLock::new();
    let mask =
        *AT_START.get_or_init(|| ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default()));
    let number = u32::try_from(kind.as_raw_value()).unwrap_or(0);
    number.checked_sub(1).is_some_and(|bit| mask & (1 << bit) != 0)
}

/// The mask of ignored signals in a `/proc/PID/status`; none if it does not say.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// A wish to stop: by a signal, or by hand. What was changed is changed back first.
#[derive(Clone, Debug)]
pub(crate) struct Cancel {
    /// Cancelled with the first wish.
    pub(crate) token: CancellationToken,
    /// Who wished it first: `SIGTERM`, `Ctrl-C`.
    pub(crate) name: Arc<OnceLock<String>>,
    /// Cancelled with the first signal: whoever sent it does not press keys.
    pub(crate) signalled: CancellationToken,
}

impl Cancel {
    /// Listens from now on. The first signal cancels; more of them change nothing, since the rollback goes on in any case.
    pub(crate) fn listen() -> Self {
        let cancel = Self {
            token: CancellationToken::new(),
            name: Arc::default(),
            signalled: CancellationToken::new(),
        };
        let listening = cancel.clone();
        tokio::spawn(async move {
            let mut telling = None;
            loop {
                let signal = stop_requested().await;
                let again = listening.token.is_cancelled();
                let _ = listening.name.set(signal.to_owned());
                if again {
                    // Without a panic should the terminal be gone, as it is after a SIGHUP.
                    tell_again(signal, &mut telling, || Output::stderr(ColorArg::Never));
                }
                listening.token.cancel();
                listening.signalled.cancel();
            }
        });
        cancel
    }

    /// Somebody wants it by hand.
    pub(crate) fn by_hand(&self, name: &str) {
        // Who was first counts.
        let _ = self.name.set(name.to_owned());
        self.token.cancel();
    }

    /// The signal, for the errors that name one.
    pub(crate) fn signal(&self) -> &'static str {
        match self.name.get().map(String::as_str) {
            Some("SIGTERM") => "SIGTERM",
            Some("SIGHUP") => "SIGHUP",
            _ => "SIGINT",
        }
    }
}

/// Says that a further signal changes nothing, in a thread where a reader that does not read holds nothing up; not while the last time
/// is still not read.
fn tell_again(
    signal: &'static str,
    telling: &mut Option<JoinHandle<()>>,
    out: impl FnOnce() -> Output + Send + 'static,
) {
    if telling.as_ref().is_none_or(JoinHandle::is_finished) {
        *telling = Some(tokio::task::spawn_blocking(move || {
            out().line(format_args!("{signal} again: the rollback goes on; it ends by itself"));
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::mpsc::{Receiver, channel},
        time::Duration,
    };

    use super::*;

    /// Takes nothing until its reader goes away.
    struct Full(Receiver<()>);

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv_timeout(Duration::from_secs(30));
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn who_listens_to_signals_does_not_wait_for_who_reads_of_them() {
        let (reader, full) = channel();
        let begun = std::time::Instant::now();
        let mut telling = None;
        tell_again("SIGTERM", &mut telling, || Output::new(Box::new(Full(full)), false, ColorArg::Never));
        tell_again("SIGTERM", &mut telling, || unreachable!("the first is not read yet"));
        assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the reader");
        drop(reader);
        telling.unwrap().await.unwrap();
    }

    #[test]
    fn what_nohup_ignores_is_known() {
        let status = "Name:\tharness\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored(status) & 1, 1, "SIGHUP is the first");
        assert_eq!(ignored("SigIgn:\tnonsense"), 0);
        assert_eq!(ignored(""), 0);
    }
}
