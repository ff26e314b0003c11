//! What the view asks of its host, and what it gets. Answers come when they come: nothing waits for them.

use std::collections::BTreeMap;

use harness_event::{Millis, PodLog};

/// A wish of the person at the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Abort the run; what was changed is changed back.
    Abort,
    /// End a game day or a watch: what was changed is changed back, and the view closes.
    Finish,
    /// Undo a fault before its time.
    StopFault {
        /// Name of the fault.
        fault: String,
    },
    /// Everything that Kubernetes says about a pod, as `kubectl describe pod` would.
    DescribePod {
        /// Namespace.
        namespace: String,
        /// Name.
        pod: String,
    },
    /// The end of a pod's log.
    PodLog {
        /// Namespace.
        namespace: String,
        /// Name.
        pod: String,
        /// Container; the first if absent.
        container: Option<String>,
        /// Of the container's instance before its last restart.
        previous: bool,
    },
    /// What can be injected here, and into what. For game days.
    ReadCatalogue,
    /// What a fault would do, without doing it.
    PlanFault(FaultForm),
    /// Inject a fault. It is undone by itself when its time is over.
    InjectFault(FaultForm),
    /// Start a load.
    StartLoad {
        /// Its name in the catalogue.
        load: String,
    },
    /// Stop a load.
    StopLoad {
        /// Its name.
        load: String,
    },
    /// Write down a remark, with the time.
    WriteNote {
        /// The text.
        text: String,
    },
    /// Move in a recorded run. For replays.
    Replay(ReplayCommand),
}

/// How a replay is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayCommand {
    /// Stop if it plays, play if it stands.
    PlayOrPause,
    /// So many events onward (negative: back), then stand.
    Step(i64),
    /// So much of the run's time onward (negative: back).
    Skip(Millis),
    /// To the next (positive) or the previous (negative) phase, fault, or change of an alert.
    Mark(i64),
    /// To the start of the run.
    Start,
    /// To its end.
    End,
    /// Play twice as fast.
    Faster,
    /// Play half as fast.
    Slower,
}

/// Where a replay is. Shown in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Playback {
    /// It plays; else it stands.
    pub playing: bool,
    /// Seconds of the run in one second.
    pub speed: f64,
    /// Time since the start of the run.
    pub position: Millis,
    /// Length of the run.
    pub length: Millis,
}

/// What the host answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Request::DescribePod`].
    PodDescribed {
        /// Namespace.
        namespace: String,
        /// Name.
        pod: String,
        /// The text.
        text: String,
    },
    /// To [`Request::PodLog`].
    PodLog(PodLog),
    /// To [`Request::ReadCatalogue`].
    Catalogue(Catalogue),
    /// To [`Request::PlanFault`].
    FaultPlanned {
        /// Which.
        form: FaultForm,
        /// What it would do, or every problem with it.
        preview: Result<FaultPreview, Vec<String>>,
    },
    /// A request was carried out and has nothing to show but this, if anything.
    Done {
        /// The request.
        request: Request,
    },
    /// A request could not be carried out.
    Failed {
        /// The request.
        request: Request,
        /// Why, for people.
        error: String,
    },
}

/// A filled-in form: values as they would stand in a scenario file's `[[fault]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultForm {
    /// Kind of the fault, the table's `kind`.
    pub kind: String,
    /// Values by key, as typed. Empty ones are left out.
    pub values: BTreeMap<String, String>,
}

/// What a fault would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPreview {
    /// Objects that it touches.
    pub targets: Vec<String>,
    /// What it does, in a sentence.
    pub effect: String,
    /// What undoes it.
    pub inverse: String,
    /// What one should know before.
    pub warnings: Vec<String>,
}

/// What can be done by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Kinds of faults.
    pub faults: Vec<CatalogueEntry>,
    /// Loads that can be started.
    pub loads: Vec<LoadChoice>,
}

/// One kind of fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The scenario format's name of it.
    pub kind: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// What is to be filled in, in order.
    pub fields: Vec<CatalogueField>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueField {
    /// Key in the scenario format.
    pub key: String,
    /// What it means.
    pub summary: String,
    /// May it be left empty?
    pub required: bool,
    /// Value that the field begins with.
    pub preset: String,
    /// How it is filled in.
    pub input: FieldInput,
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldInput {
    /// Any text, number or duration; the host checks it.
    Text,
    /// One of these, or text: targets that are there now.
    Choice(Vec<String>),
}

/// A load that can be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadChoice {
    /// Its name.
    pub load: String,
    /// What it does, in a sentence.
    pub summary: String,
}
