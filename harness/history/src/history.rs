//! The index: opened, kept in step with the folders, asked.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    db::{Db, VERSION, Writers},
    error::HistoryError,
    folders::{self, Damaged},
    location::Location,
    lock::{self, Lock},
    measure::Measure,
    query::{Query, Sort, glob, is_scenario},
    run::{Ending, Entry, Run},
};

/// The index of the recorded runs.
pub struct History {
    location: Location,
    runs: PathBuf,
    origin: String,
    db: Db,
    /// Kept while the file is open.
    lock: Option<Lock>,
    /// What was found and done, for people.
    notes: Vec<String>,
    damaged: Vec<Damaged>,
}

/// What became of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Runs that were read.
    pub read: usize,
    /// Runs that are not known any more.
    pub forgotten: usize,
    /// Runs of this directory that are in the index alone: their folders are gone.
    pub without_folder: usize,
}

impl History {
    /// Opens the index of the runs in a directory, and makes it if it is not there. One that is damaged is made again from the
    /// folders; [`History::notes`] says so.
    ///
    /// # Errors
    /// If it cannot be opened, or is of a newer version.
    pub async fn open(location: Location, runs: &Path) -> Result<Self, HistoryError> {
        let origin = location.origin(runs);
        let mut notes = Vec::new();
        let (db, lock, fresh) = match &location {
            // Where nothing was run, nothing is made for the asking.
            Location::Sqlite(path) if !runs.exists() && !path.exists() => (in_memory().await?, None, true),
            Location::Sqlite(path) => match open_file(&location, path, &mut notes).await {
                Ok((db, lock, fresh)) => (db, Some(lock), fresh),
                // Runs that were recorded elsewhere, as a file system that is only read.
                Err(HistoryError::File { source, .. }) if may_not_write(&source) => {
                    notes.push(format!("{} can't be written ({source}): all runs are read", path.display()));
                    (in_memory().await?, None, true)
                }
                Err(error) => return Err(error),
            },
            Location::Postgres(_) => {
                let mut db = Db::connect(&location, true).await?;
                let version = db.version().await?;
                if version < VERSION {
                    db.migrate().await?;
                }
                (db, None, false)
            }
        };
        let runs = runs.to_owned();
        let mut history = Self { location, runs, origin, db, lock, notes, damaged: Vec::new() };
        if fresh {
            history.fill(false).await?;
        }
        Ok(history)
    }

    /// What was found and done to the index, for people. Said once.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Folders that could not be read, as far as they were looked at.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// Where the index is, without user and password.
    pub fn describe(&self) -> String {
        self.location.describe()
    }

    /// The name of this directory of runs in the index.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Closes it.
    pub async fn close(self) {
        self.db.close().await;
        drop(self.lock);
    }

    /// Reads a run's folder and writes it into the index.
    ///
    /// # Errors
    /// If it cannot be written. A damaged folder is in [`History::damaged`].
    pub async fn index(&mut self, id: &str) -> Result<(), HistoryError> {
        match folders::read(&self.runs, &self.origin, id) {
            Ok(Some(entry)) => self.put(&entry).await,
            Ok(None) => Ok(()),
            Err(damaged) => {
                self.damaged.push(damaged);
                Ok(())
            }
        }
    }

    /// Writes a run into the index, in place of what is known of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&mut self, entry: &Entry) -> Result<(), HistoryError> {
        match self.put_once(entry).await {
            Err(error) if self.repair(&error).await? => self.put_once(entry).await,
            done => done,
        }
    }

    async fn put_once(&mut self, entry: &Entry) -> Result<(), HistoryError> {
        self.db.begin(Writers::Others).await?;
        let done = self.db.put(entry).await;
        self.db.end(done).await
    }

    /// Brings the index in step with the folders: those that it does not know are read, and those that had no end.
    ///
    /// # Errors
    /// If folders cannot be listed or the index cannot be written.
    pub async fn sync(&mut self) -> Result<Synced, HistoryError> {
        match self.sync_once().await {
            Err(error) if self.repair(&error).await? => self.sync_once().await,
            done => done,
        }
    }

    async fn sync_once(&mut self) -> Result<Synced, HistoryError> {
        self.damaged.clear();
        let ids = self.folders()?;
        let known = self.known().await?;
        let wanted: Vec<String> =
            ids.iter().filter(|id| self.is_stale(id, known.get(*id))).cloned().collect();
        // One that was made and indexed since the folders were listed is not gone.
        let gone: Vec<String> = known
            .keys()
            .filter(|id| ids.binary_search(id).is_err() && !self.runs.join(id).exists())
            .cloned()
            .collect();
        let read = self.read(&wanted);
        let mut synced = Synced { read: read.len(), ..Synced::default() };
        match self.location {
            Location::Sqlite(_) => synced.forgotten = gone.len(),
            // Folders on a machine of CI are gone soon. What was learned of them stays.
            Location::Postgres(_) => synced.without_folder = gone.len(),
        }
        if synced.read + synced.forgotten > 0 {
            self.db.begin(Writers::Others).await?;
            let done = self.write(&read, &gone[..synced.forgotten]).await;
            self.db.end(done).await?;
        }
        Ok(synced)
    }

    /// Makes the index again from the folders, in one transaction: a reader sees the old one or the new one. What is known of
    /// runs of other machines stays; with `forget`, what is known of runs of this directory without a folder goes.
    ///
    /// # Errors
    /// If folders cannot be listed or the index cannot be written.
    pub async fn reindex(&mut self, forget: bool) -> Result<Synced, HistoryError> {
        match self.fill(forget).await {
            Err(error) if self.repair(&error).await? => self.fill(forget).await,
            done => done,
        }
    }

    async fn fill(&mut self, forget: bool) -> Result<Synced, HistoryError> {
        self.damaged.clear();
        // The long part, while others go on.
        let early = self.folders()?;
        let entries = self.read(&early);
        self.db.begin(Writers::Alone).await?;
        let done = self.fill_within(early, entries, forget).await;
        self.db.end(done).await
    }

    /// Nobody else writes now. Runs that ended in the meantime have been written by themselves, or are going to be.
    async fn fill_within(
        &mut self,
        early: Vec<String>,
        entries: Vec<Entry>,
        forget: bool,
    ) -> Result<Synced, HistoryError> {
        let ids = self.folders()?;
        let gone = |entry: &Entry| ids.binary_search(&entry.run.id).is_err();
        let grown = |entry: &Entry| {
            !entry.run.outcome.is_final()
                && folders::log_bytes(&self.runs.join(&entry.run.id))
                    != u64::try_from(entry.run.log_bytes).ok()
        };
        let (stale, mut fresh): (Vec<_>, Vec<_>) =
            entries.into_iter().filter(|entry| !gone(entry)).partition(|entry| grown(entry));
        let mut again: Vec<String> = stale.into_iter().map(|entry| entry.run.id).collect();
        again.extend(ids.iter().filter(|id| early.binary_search(id).is_err()).cloned());
        // A log that could not be read may only have been at its beginning.
        let damaged = std::mem::take(&mut self.damaged).into_iter().map(|one| one.id);
        again.extend(damaged.filter(|id| ids.binary_search(id).is_ok()));
        again.sort_unstable();
        fresh.extend(self.read(&again));
        let known = self.known().await?;
        let without: Vec<String> = known.into_keys().filter(|id| ids.binary_search(id).is_err()).collect();
        // Folders that are damaged now are no runs any more.
        let damaged: Vec<String> = self.damaged.iter().map(|one| one.id.clone()).collect();
        self.db.delete(&damaged).await?;
        let forget = forget || matches!(self.location, Location::Sqlite(_));
        let (forgotten, without_folder) = if forget { (without.len(), 0) } else { (0, without.len()) };
        self.write(&fresh, &without[..forgotten]).await?;
        Ok(Synced { read: fresh.len(), forgotten, without_folder })
    }

    async fn write(&mut self, entries: &[Entry], gone: &[String]) -> Result<(), HistoryError> {
        for entry in entries {
            self.db.put(entry).await?;
        }
        self.db.delete(gone).await
    }

    /// Forgets runs.
    ///
    /// # Errors
    /// If the index cannot be written.
    pub async fn forget(&mut self, ids: &[String]) -> Result<(), HistoryError> {
        self.db.begin(Writers::Others).await?;
        let done = self.db.delete(ids).await;
        self.db.end(done).await
    }

    /// Runs that a query wants, each with the value that it is sorted by.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub async fn runs(&mut self, query: &Query) -> Result<Vec<(Run, Option<f64>)>, HistoryError> {
        match self.db.runs(query).await {
            Err(error) if self.repair(&error).await? => self.db.runs(query).await,
            done => done,
        }
    }

    /// Measures of runs, by run.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub async fn measures(&mut self, ids: &[String]) -> Result<BTreeMap<String, Vec<Measure>>, HistoryError> {
        match self.db.measures(ids).await {
            Err(error) if self.repair(&error).await? => self.db.measures(ids).await,
            done => done,
        }
    }

    /// Paths of scenarios, and titles, that match patterns.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub async fn matching(
        &mut self,
        scenario: Option<&str>,
        title: Option<&str>,
    ) -> Result<(Option<Vec<String>>, Option<Vec<String>>), HistoryError> {
        if scenario.is_none() && title.is_none() {
            return Ok((None, None));
        }
        let all = match self.db.scenarios().await {
            Err(error) if self.repair(&error).await? => self.db.scenarios().await?,
            done => done?,
        };
        let paths = scenario.map(|pattern| {
            all.iter().map(|(path, _)| path).filter(|path| is_scenario(pattern, path)).cloned().collect()
        });
        let titles = title.map(|pattern| {
            all.iter().map(|(_, title)| title).filter(|title| glob(pattern, title)).cloned().collect()
        });
        Ok((paths, titles))
    }

    /// The measures that can be sorted by, if this is none of them.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub async fn unknown_sort(&mut self, sort: &Sort) -> Result<Option<Vec<String>>, HistoryError> {
        let Sort::Measure { name, subject } = sort else { return Ok(None) };
        let names = self.db.measure_names().await?;
        let known = |(one, other): &(String, String)| {
            one == name && subject.as_ref().is_none_or(|subject| subject == other)
        };
        if names.iter().any(known) {
            return Ok(None);
        }
        let id = |(name, subject): &(String, String)| match subject.as_str() {
            "" => name.clone(),
            subject => format!("{name}/{subject}"),
        };
        Ok(Some(names.iter().map(id).collect()))
    }

    fn folders(&self) -> Result<Vec<String>, HistoryError> {
        folders::list(&self.runs).map_err(|source| HistoryError::File { path: self.runs.clone(), source })
    }

    async fn known(&mut self) -> Result<BTreeMap<String, (Ending, i64)>, HistoryError> {
        let known = self.db.known(&self.origin).await?;
        Ok(known.into_iter().map(|(id, ending, bytes)| (id, (ending, bytes))).collect())
    }

    /// Reads folders; what cannot be read is kept for [`History::damaged`].
    fn read(&mut self, ids: &[String]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for read in folders::read_all(&self.runs, &self.origin, ids) {
            match read {
                Ok(entry) => entries.extend(entry),
                Err(damaged) => self.damaged.push(damaged),
            }
        }
        entries
    }

    /// A run that had its end does not change; `harness recover` indexes what it adds.
    fn is_stale(&self, id: &str, known: Option<&(Ending, i64)>) -> bool {
        let folder = self.runs.join(id);
        match known {
            None => true,
            Some((ending, _)) if ending.is_final() => false,
            Some((ending, bytes)) => {
                let written = folders::is_written(&folder);
                written != (*ending == Ending::Running)
                    || folders::log_bytes(&folder) != u64::try_from(*bytes).ok()
            }
        }
    }

    /// True if the index was broken and has been made again.
    async fn repair(&mut self, error: &HistoryError) -> Result<bool, HistoryError> {
        let Location::Sqlite(path) = &self.location else { return Ok(false) };
        if !error.is_damage() {
            return Ok(false);
        }
        let path = path.clone();
        // Others that have the damaged file open are waited for; this one lets go of it first. Its place is taken by an empty
        // database, which nobody sees.
        std::mem::replace(&mut self.db, in_memory().await?).close().await;
        self.lock = None;
        let alone = Lock::alone(&lock::file(&path)).await?;
        // Another process may have made it again by now.
        if let Err(error) = probe(&self.location).await {
            replace(&path, &error, &mut self.notes)?;
        }
        self.db = Db::connect(&self.location, true).await?;
        self.db.migrate().await?;
        self.fill(false).await?;
        drop(alone);
        self.lock = Some(Lock::shared(&lock::file(&path)).await?);
        Ok(true)
    }
}

/// An index that is gone with the process.
async fn in_memory() -> Result<Db, HistoryError> {
    let mut db = Db::connect(&Location::Sqlite(PathBuf::from(":memory:")), true).await?;
    db.migrate().await?;
    Ok(db)
}

fn may_not_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Opens the file. The third value is true if it is new, and empty.
async fn open_file(
    location: &Location,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<(Db, Lock, bool), HistoryError> {
    let lock_file = lock::file(path);
    if let Some(parent) = path.parent() {
        let failed = |source| HistoryError::File { path: parent.to_owned(), source };
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let shared = Lock::shared(&lock_file).await?;
    if path.exists()
        && let Ok(mut db) = Db::connect(location, false).await
    {
        match db.version().await {
            Ok(VERSION) => return Ok((db, shared, false)),
            Err(error @ HistoryError::Newer { .. }) => return Err(error),
            // It is of an older version, or damaged: below, alone.
            _ => db.close().await,
        }
    }
    drop(shared);
    let alone = Lock::alone(&lock_file).await?;
    let mut fresh = !path.exists();
    if !fresh && let Err(error) = whole(location).await {
        if !error.is_damage() {
            return Err(error);
        }
        replace(path, &error, notes)?;
        fresh = true;
    }
    let mut db = Db::connect(location, true).await?;
    // A process that was killed between making the file and its tables.
    fresh |= db.version().await? == 0;
    db.migrate().await?;
    drop(alone);
    // Whoever comes in between finds it as it is to be, or damaged, which is then repaired.
    Ok((db, Lock::shared(&lock_file).await?, fresh))
}

/// Can the version be read?
async fn whole(location: &Location) -> Result<(), HistoryError> {
    let mut db = Db::connect(location, false).await?;
    let version = db.version().await.map(drop);
    db.close().await;
    version
}

/// Can everything be read?
async fn probe(location: &Location) -> Result<(), HistoryError> {
    let mut db = Db::connect(location, false).await?;
    let read = db.check().await;
    db.close().await;
    read
}

/// Takes a damaged index away. Nobody has it open.
fn replace(path: &Path, error: &HistoryError, notes: &mut Vec<String>) -> Result<(), HistoryError> {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    notes.push(format!("{} was damaged ({cause}) and is made again from the runs", path.display()));
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(HistoryError::File { path: name.into(), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}
