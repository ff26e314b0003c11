//! Lists: what can be selected, sorted and filtered.

/// What is shown in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum List {
    /// Pods.
    Pods,
    /// Alerts.
    Alerts,
    /// Expectations.
    Expectations,
    /// Loads.
    Loads,
    /// Faults.
    Faults,
    /// The log.
    Log,
}

impl List {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Pods, Self::Alerts, Self::Expectations, Self::Loads, Self::Faults, Self::Log];

    /// By what it can be sorted; the first is how it begins. The log is always in order of time: here are the subjects that it can
    /// be narrowed to.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Pods => &["attention", "name", "status", "restarts", "CPU", "memory", "age"],
            Self::Alerts => &["attention", "name", "since"],
            Self::Expectations => &["plan", "attention"],
            Self::Loads => &["start", "name", "errors"],
            Self::Faults => &["start", "name", "stage"],
            Self::Log => &["all", "run", "fault", "load", "alert", "cluster", "slo", "probe", "note"],
        }
    }
}

/// How a list is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Selected row, in the order that is shown.
    pub cursor: usize,
    /// Column by which it is sorted, of [`List::columns`].
    pub column: usize,
    /// Turned around.
    pub reverse: bool,
    /// Only rows that contain this, in any case; all if empty.
    pub filter: String,
    /// What is typed here last, for `/`.
    pub last_filter: String,
    /// The cursor stays at the end when rows are added.
    pub follow: bool,
    /// The person moved the cursor: it stays with its row, not with its place.
    pub held: bool,
}

/// How each list is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists([Order; List::ALL.len()]);

impl Default for Lists {
    fn default() -> Self {
        let mut lists = Self(Default::default());
        lists[List::Log].follow = true;
        lists
    }
}

impl std::ops::Index<List> for Lists {
    type Output = Order;
    fn index(&self, list: List) -> &Order {
        &self.0[list as usize]
    }
}

impl std::ops::IndexMut<List> for Lists {
    fn index_mut(&mut self, list: List) -> &mut Order {
        &mut self.0[list as usize]
    }
}
