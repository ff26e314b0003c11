//! Workloads, autoscalers, disruption budgets, SLOs.

use super::model::{AutoscalerView, BudgetView, RunState};
use crate::{EventKind, ObservedAutoscaler, SloSample};

impl RunState {
    pub(super) fn apply_to_object(&mut self, kind: &EventKind) {
        match kind {
            EventKind::WorkloadObserved(seen) => {
                self.workloads.insert(seen.workload.to_string(), seen.clone());
            }
            EventKind::AutoscalerObserved(seen) => self.autoscaler_seen(seen),
            EventKind::BudgetObserved(seen) => {
                self.budgets.insert(seen.budget.clone(), BudgetView { seen: seen.clone() });
            }
            EventKind::SloDefined(definition) => {
                let slo = self.slos.entry(definition.slo.clone()).or_default();
                slo.burn.resize_with(definition.windows.len(), Default::default);
                slo.definition = Some(definition.clone());
            }
            EventKind::SloMissing { slo, error } => {
                self.slos.entry(slo.clone()).or_default().missing = Some(error.clone());
            }
            EventKind::SloSampled(sample) => self.slo_sampled(sample),
            EventKind::SloMeasured(usage) => {
                self.slos.entry(usage.slo.clone()).or_default().usage = Some(usage.clone());
            }
            _ => {}
        }
    }

    fn autoscaler_seen(&mut self, seen: &ObservedAutoscaler) {
        let elapsed = self.since_start(seen.seen_at);
        let view = self.autoscalers.entry(seen.autoscaler.clone()).or_insert_with(|| AutoscalerView {
            seen: seen.clone(),
            current: Default::default(),
            desired: Default::default(),
        });
        let count = |replicas: i32| seen.exists.then_some(f64::from(replicas));
        view.current.push(elapsed, count(seen.current));
        view.desired.push(elapsed, count(seen.desired));
        view.seen = seen.clone();
    }

    fn slo_sampled(&mut self, sample: &SloSample) {
        let elapsed = self.since_start_theirs(sample.sampled_at);
        let slo = self.slos.entry(sample.slo.clone()).or_default();
        if slo.burn.len() < sample.burn_rates.len() {
            slo.burn.resize_with(sample.burn_rates.len(), Default::default);
        }
        for (series, rate) in slo.burn.iter_mut().zip(&sample.burn_rates) {
            series.push(elapsed, rate.filter(|rate| rate.is_finite()));
        }
        slo.last = Some(sample.clone());
    }
}
