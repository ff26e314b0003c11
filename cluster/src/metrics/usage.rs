//! The last two samples of everything that uses CPU and memory, and the usage between them.
//!
//! The rules are metrics-server's (`pkg/storage`): CPU is the rate between the last two samples, memory the last value, and
//! what has no two samples of one start is absent, a pod as a whole if one of its containers is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;

/// A moment's reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was read.
    pub at: Timestamp,
    /// CPU time since the start, in nanoseconds.
    pub cpu: u64,
    /// Memory that cannot be taken back at once, in bytes.
    pub working_set: u64,
}

/// A reading of one container.
#[derive(Clone, Debug)]
pub struct ContainerSample {
    /// Uid of its pod.
    pub pod_uid: String,
    /// Its name.
    pub container: String,
    /// When it was started: counters of another start cannot be compared.
    pub started: Timestamp,
    /// The reading.
    pub sample: Sample,
}

/// Usage over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// End of the window.
    pub at: Timestamp,
    /// Length of the window.
    pub window: Duration,
    /// CPU in billionths of a core.
    pub nanocores: u64,
    /// Working set at the end, in bytes.
    pub working_set: u64,
}

/// Usage of one container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// The container's name.
    pub name: String,
    /// What it uses.
    pub measured: Measured,
}

/// Usage of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    /// Of the container that was read first.
    pub at: Timestamp,
    /// Of the same container.
    pub window: Duration,
    /// All containers, by name.
    pub containers: Vec<ContainerUsage>,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    started: Timestamp,
    previous: Option<Sample>,
    last: Sample,
}

impl Series {
    fn follow(old: Option<&Self>, started: Timestamp, sample: Sample) -> Self {
        let same =
            old.filter(|old| old.started == started && old.last.at < sample.at && old.last.cpu <= sample.cpu);
        Self { started, previous: same.map(|old| old.last), last: sample }
    }

    fn measured(&self) -> Option<Measured> {
        let previous = self.previous?;
        let window = Duration::try_from(self.last.at.duration_since(previous.at)).ok()?;
        let nanoseconds = window.as_nanos().max(1);
        let rate = u128::from(self.last.cpu - previous.cpu) * 1_000_000_000 / nanoseconds;
        Some(Measured {
            at: self.last.at,
            window,
            nanocores: u64::try_from(rate).unwrap_or(u64::MAX),
            working_set: self.last.working_set,
        })
    }
}

#[derive(Debug, Default)]
struct State {
    nodes: HashMap<String, Series>,
    pods: HashMap<String, BTreeMap<String, Series>>,
}

/// The samples of a cluster. Clones share them; without a kubelet that records, it stays empty.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    state: Arc<RwLock<State>>,
}

impl Usage {
    /// Takes a round of samples: the node's and those of all containers that run. What is not among them is forgotten.
    pub fn record(
        &self,
        node: (&str, Timestamp, Sample),
        containers: impl IntoIterator<Item = ContainerSample>,
    ) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let (name, started, sample) = node;
        let series = Series::follow(state.nodes.get(name), started, sample);
        state.nodes.insert(name.to_owned(), series);
        let old = std::mem::take(&mut state.pods);
        for ContainerSample { pod_uid, container, started, sample } in containers {
            let before = old.get(&pod_uid).and_then(|pod| pod.get(&container));
            let series = Series::follow(before, started, sample);
            state.pods.entry(pod_uid).or_default().insert(container, series);
        }
    }

    /// Usage of a node, if it has two samples.
    pub fn node(&self, name: &str) -> Option<Measured> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.nodes.get(name).and_then(Series::measured)
    }

    /// Usage of a pod, if each of its running containers has two samples.
    pub fn pod(&self, uid: &str) -> Option<PodUsage> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let containers = state.pods.get(uid)?.iter();
        let containers: Option<Vec<ContainerUsage>> = containers
            .map(|(name, series)| Some(ContainerUsage { name: name.clone(), measured: series.measured()? }))
            .collect();
        let containers = containers?;
        let first =
            containers.iter().map(|container| container.measured).min_by_key(|measured| measured.at)?;
        Some(PodUsage { at: first.at, window: first.window, containers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millisecond).unwrap()
    }

    fn container(name: &str, started: i64, time: i64, cpu: u64) -> ContainerSample {
        ContainerSample {
            pod_uid: "u".to_owned(),
            container: name.to_owned(),
            started: at(started),
            sample: Sample { at: at(time), cpu, working_set: 4096 },
        }
    }

    fn node(time: i64, cpu: u64) -> (&'static str, Timestamp, Sample) {
        ("n", at(0), Sample { at: at(time), cpu, working_set: 1 })
    }

    #[test]
    fn cpu_is_the_rate_between_the_last_two_samples() {
        let usage = Usage::default();
        usage.record(node(0, 0), [container("main", 0, 0, 100)]);
        assert_eq!((usage.pod("u"), usage.node("n")), (None, None), "one sample is no rate");
        usage.record(node(2000, 4_000_000_000), [container("main", 0, 1500, 750_000_100)]);
        let pod = usage.pod("u").unwrap();
        assert_eq!((pod.window, pod.at), (Duration::from_millis(1500), at(1500)));
        assert_eq!(pod.containers[0].measured.nanocores, 500_000_000);
        assert_eq!(usage.node("n").unwrap().nanocores, 2_000_000_000);
    }

    #[test]
    fn a_restarted_or_added_container_makes_its_pod_absent_for_one_round() {
        let usage = Usage::default();
        usage.record(node(0, 0), [container("a", 0, 0, 0)]);
        usage.record(node(1, 0), [container("a", 0, 1, 0), container("b", 1, 1, 0)]);
        assert_eq!(usage.pod("u"), None);
        usage.record(node(2, 0), [container("a", 0, 2, 0), container("b", 1, 2, 0)]);
        assert_eq!(usage.pod("u").unwrap().containers.len(), 2);
        usage.record(node(3, 0), [container("a", 0, 3, 0), container("b", 3, 3, 0)]);
        assert_eq!(usage.pod("u"), None);
        usage.record(node(4, 0), []);
        assert_eq!(usage.pod("u"), None, "what ended is forgotten");
    }

    #[test]
    fn a_counter_that_went_back_is_no_rate() {
        let usage = Usage::default();
        usage.record(node(0, 0), [container("a", 0, 0, 10)]);
        usage.record(node(1, 0), [container("a", 0, 1, 5)]);
        assert_eq!(usage.pod("u"), None);
    }
}
