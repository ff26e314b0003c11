//! Password hashing with argon2id on a few threads of its own.
//!
//! A hash takes tens of milliseconds and 19 MiB by design, so work and memory are bounded: a fixed number of
//! threads, each with its memory allocated once, and a short queue before them. When the queue is full the
//! caller is told to come back, and nobody waits for a hash longer than until their own deadline.

use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

/// How hashes are made and how many at a time.
#[derive(Clone, Copy, Debug)]
pub struct PasswordConfig {
    /// Memory of one hash in KiB (argon2 `m`).
    pub memory_kib: u32,
    /// Passes over that memory (argon2 `t`).
    pub iterations: u32,
    /// Hashes computed at the same time.
    pub threads: usize,
    /// Hashes that may wait.
    pub queue: usize,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// All threads are busy: the queue is full, or the deadline passed.
    #[error("too many passwords are being checked")]
    Busy,
    /// The parameters or the stored hash are not usable.
    #[error("password hashing failed")]
    Hash(#[source] argon2::Error),
    /// The parameters do not fit into a PHC string, or those of a stored one are not argon2's.
    #[error("password hash parameters cannot be converted")]
    Parameters(#[source] argon2::password_hash::Error),
    /// The stored hash is not a PHC string of argon2.
    #[error("the stored password hash cannot be read")]
    Stored(#[source] argon2::password_hash::phc::Error),
    /// A hashing thread is gone.
    #[error("the password hashing threads have ended")]
    Gone,
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

/// The hashing threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
    params: Params,
    /// Stands in for the hash of a user that does not exist, so that the answer takes as long.
    decoy: Arc<str>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Passwords {
    /// Starts the threads.
    pub fn start(config: PasswordConfig) -> Result<Self, PasswordError> {
        let params =
            Params::new(config.memory_kib, config.iterations, 1, None).map_err(PasswordError::Hash)?;
        let (jobs, queue) = sync_channel::<Job>(config.queue);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..config.threads {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name("argon2".to_owned())
                .spawn(move || work(&queue))
                .map_err(|_| PasswordError::Gone)?;
        }
        let mut memory = Vec::new();
        let decoy = hash(&params, "no user has this password", &mut memory)?.into();
        Ok(Self { jobs, params, decoy })
    }

    /// The PHC string of a new password.
    pub async fn hash(&self, password: String, deadline: Instant) -> Result<String, PasswordError> {
        let params = self.params.clone();
        self.run(deadline, move |memory| hash(&params, &password, memory)).await
    }

    /// Whether the password is the one of `stored`. Without `stored` the answer is `false` after the same work.
    pub async fn verify(
        &self,
        password: String,
        stored: Option<String>,
        deadline: Instant,
    ) -> Result<bool, PasswordError> {
        let decoy = self.decoy.clone();
        self.run(deadline, move |memory| {
            let known = stored.is_some();
            let matches = verify(stored.as_deref().unwrap_or(&decoy), &password, memory)?;
            Ok(matches && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        job: impl FnOnce(&mut Vec<Block>) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Nobody waits any more: the client went away, or the deadline passed, while this was queued.
            if !reply.is_closed() {
                let _ = reply.send(job(memory));
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => PasswordError::Busy,
            TrySendError::Disconnected(_) => PasswordError::Gone,
        })?;
        match timeout_at(deadline, answer).await {
            Ok(answer) => answer.map_err(|_| PasswordError::Gone)?,
            Err(_) => Err(PasswordError::Busy),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    let mut memory = Vec::new();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(&mut memory),
            Err(_) => return,
        }
    }
}

fn compute(
    params: &Params,
    password: &str,
    salt: &[u8],
    out: &mut [u8],
    memory: &mut Vec<Block>,
) -> Result<(), PasswordError> {
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..params.block_count()])
        .map_err(PasswordError::Hash)
}

fn hash(params: &Params, password: &str, memory: &mut Vec<Block>) -> Result<String, PasswordError> {
    let salt = Salt::generate();
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    compute(params, password, salt.as_ref(), &mut out, memory)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(PasswordError::Parameters)?,
        salt: Some(salt),
        hash: Some(Output::new(&out).map_err(PasswordError::Stored)?),
    };
    Ok(hash.to_string())
}

fn verify(stored: &str, password: &str, memory: &mut Vec<Block>) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(PasswordError::Stored)?;
    let params = Params::try_from(&stored).map_err(PasswordError::Parameters)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Ok(false) };
    let mut out = [0; Output::MAX_LENGTH];
    let out = &mut out[..expected.len()];
    compute(&params, password, salt.as_ref(), out, memory)?;
    // `Output` compares in constant time.
    Ok(Output::new(out).map_err(PasswordError::Stored)? == *expected)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn start(threads: usize, queue: usize) -> Passwords {
        Passwords::start(PasswordConfig { memory_kib: 64, iterations: 1, threads, queue }).unwrap()
    }

    #[tokio::test]
    async fn hash_and_verify() {
        let passwords = start(2, 4);
        let stored = passwords.hash("correct horse".to_owned(), soon()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_ne!(stored, passwords.hash("correct horse".to_owned(), soon()).await.unwrap(), "salts differ");
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone()), soon()).await.unwrap());
        assert!(!passwords.verify("correct hors".to_owned(), Some(stored), soon()).await.unwrap());
        assert!(!passwords.verify("no user has this password".to_owned(), None, soon()).await.unwrap());
        let broken = passwords.verify("x".to_owned(), Some("plain".to_owned()), soon()).await;
        assert!(matches!(broken, Err(PasswordError::Stored(_))), "{broken:?}");
    }

    #[test]
    fn agrees_with_the_reference_implementation() {
        // printf 'correct horse' | argon2 somesaltsomesalt -id -t 2 -k 64 -p 1 -l 32 -e
        let stored =
            "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";
        assert!(verify(stored, "correct horse", &mut Vec::new()).unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let passwords = start(1, 1);
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let jobs = passwords.jobs.clone();
        jobs.try_send(Box::new(move |_| {
            let _ = started.send(());
            let _ = blocked.recv();
        }))
        .unwrap();
        running.await.unwrap();
        // The next one takes the one place in the queue; the one after that is refused.
        let deadline = Instant::now() + Duration::from_millis(100);
        let mut waiting = Box::pin(passwords.hash("x".to_owned(), deadline));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(matches!(passwords.hash("x".to_owned(), soon()).await, Err(PasswordError::Busy)));
        assert!(matches!(waiting.await, Err(PasswordError::Busy)), "the deadline passed");
        drop(release);
        let moving = async {
            while passwords.hash("x".to_owned(), soon()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), moving).await.expect("the queue moves again");
    }

    /// Median of five times.
    async fn time(passwords: &Passwords, stored: Option<&str>) -> Duration {
        let mut times = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            let _ = passwords
                .verify("wrong password".to_owned(), stored.map(str::to_owned), soon())
                .await
                .unwrap();
            times.push(start.elapsed());
        }
        times.sort();
        times[2]
    }

    #[tokio::test]
    async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
        let config = PasswordConfig { memory_kib: 8192, iterations: 2, threads: 1, queue: 4 };
        let passwords = Passwords::start(config).unwrap();
        let stored = passwords.hash("correct horse".to_owned(), soon()).await.unwrap();
        let (wrong, unknown) = (time(&passwords, Some(&stored)).await, time(&passwords, None).await);
        let ratio = unknown.as_secs_f64() / wrong.as_secs_f64();
        assert!(
            (0.3..3.0).contains(&ratio),
            "{unknown:?} for an unknown user, {wrong:?} for a wrong password"
        );
    }
}
