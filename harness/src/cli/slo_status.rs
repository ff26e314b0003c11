//! `harness slo status`: how fast error budgets burn.

use harness_engine::{
    monitor::{Error, Prometheus, Upstreams, clock_offset},
    slo::{Slo, SloError, find_slos, known_slos, sample_slos},
};
use harness_event::{SloDefinition, SloSample, SloWindow};
use harness_slo::PromDuration;
use serde::Serialize;

use super::{Context, args::SloStatusArgs};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::Style,
    stack::{self, Progress, State},
    target::Target,
};

/// Measurements of the clock's offset; the best counts.
const CLOCK_ROUNDS: u32 = 2;

pub(super) async fn exec(args: &SloStatusArgs, context: &Context) -> Result<u8, ExpectedError> {
    let progress = context.progress();
    progress.now("asking Prometheus");
    let found = progress.alive(ask(args, context)).await;
    drop(progress);
    let found = found?;
    let (slos, samples) = found.clone().unwrap_or_default();
    let reports = slos.iter().zip(&samples).map(|(slo, sample)| report(&slo.definition, sample));
    match (args.json, found) {
        (true, _) => context.out.json(&reports.collect::<Vec<_>>())?,
        (false, None) => context.out.line("Prometheus has rules of no SLO; `harness slo rules` makes them"),
        (false, Some(_)) => show(&slos, &samples, context),
    }
    Ok(exit_code::PASSED)
}

/// SLOs, and what is measured of each.
type Found = (Vec<Slo>, Vec<SloSample>);

/// The SLOs that are wanted. `None` if Prometheus knows of none at all.
async fn ask(args: &SloStatusArgs, context: &Context) -> Result<Option<Found>, ExpectedError> {
    let upstreams = Upstreams::new(client(&args.prometheus, context).await?).map_err(unreachable)?;
    let prometheus = Prometheus::new(upstreams.connect(&args.prometheus).await.map_err(unreachable)?);
    let known = known_slos(&prometheus).await.map_err(unreachable)?;
    let wanted = if args.slos.is_empty() { known.clone() } else { args.slos.clone() };
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut slos = Vec::new();
    for (id, found) in find_slos(&prometheus, &wanted).await.map_err(unreachable)? {
        match found {
            Ok(slo) => slos.push(slo),
            Err(error @ SloError::Unknown { .. }) => {
                let hint = format!("Prometheus has rules of: {}", known.join(", "));
                return Err(ExpectedError::Usage {
                    message: format!("SLO {id:?}: {error}"),
                    hint: Some(hint),
                });
            }
            Err(error) => context.err.line(format_args!("SLO {id:?}: {error}")),
        }
    }
    let clock = clock_offset(&prometheus, CLOCK_ROUNDS).await.map_err(unreachable)?;
    let samples = sample_slos(&prometheus, &slos, clock.offset).await.map_err(unreachable)?;
    Ok(Some((slos, samples)))
}

/// One SLO as `--json` shows it. Documented in `docs/cli.md`.
#[derive(Debug, Serialize)]
struct Report {
    slo: String,
    service: String,
    objective: f64,
    period_ms: i64,
    /// Share of the period's budget that is left, 1 and less; null without data.
    budget_left: Option<f64>,
    windows: Vec<WindowReport>,
    /// How far back the data goes: longer windows rest on less than they say.
    history_ms: i64,
}

#[derive(Debug, Serialize)]
struct WindowReport {
    window_ms: i64,
    /// Length over which it is computed here: shorter where time is compressed.
    length_ms: i64,
    /// Null without traffic.
    burn_rate: Option<f64>,
}

fn report(definition: &SloDefinition, sample: &SloSample) -> Report {
    let rate = |at: usize| sample.burn_rates.get(at).copied().flatten();
    let window = |(at, window): (usize, &SloWindow)| WindowReport {
        window_ms: window.window.0,
        length_ms: window.length.0,
        burn_rate: rate(at),
    };
    let period = definition.windows.iter().position(|window| window.window == definition.period);
    Report {
        slo: definition.slo.clone(),
        service: definition.service.clone(),
        // As recorded it is 1 minus the error budget, which is not exact.
        objective: (definition.objective * 1e9).round() / 1e9,
        period_ms: definition.period.0,
        budget_left: period.and_then(rate).map(|spent| 1.0 - spent),
        windows: definition.windows.iter().enumerate().map(window).collect(),
        history_ms: sample.history.0,
    }
}

/// A client for the API server, which is only needed for `service://`.
pub(super) async fn client(address: &str, context: &Context) -> Result<kube::Client, ExpectedError> {
    if !address.starts_with("service://") {
        // Never asked.
        let nowhere = kube::Config::new(axum::http::Uri::from_static("http://127.0.0.1:1"));
        return kube::Client::try_from(nowhere).map_err(|source| ExpectedError::Internal {
            what: "no client can be made".to_owned(),
            source: source.into(),
        });
    }
    let global = &context.global;
    if context.external() {
        return Ok(Target::external(global.kubeconfig.as_deref(), global.context.as_deref()).await?.client);
    }
    match stack::state(&context.state_dir)? {
        State::Up(_) if context.state_dir.kubeconfig().exists() => {
            Ok(Target::embedded(&context.state_dir.kubeconfig()).await?.client)
        }
        State::Up(_) | State::Down | State::Crashed => Err(ExpectedError::Usage {
            message: format!("no embedded stack is up in {}", context.state_dir.root().display()),
            hint: Some("`harness up` starts one; --context or --prometheus name others".to_owned()),
        }),
    }
}

fn unreachable(error: Error) -> ExpectedError {
    ExpectedError::Unreachable { what: "Prometheus can't be asked".to_owned(), source: Some(error.into()) }
}

fn show(slos: &[Slo], samples: &[SloSample], context: &Context) {
    let mut rows = vec![["SLO", "OBJECTIVE", "BUDGET LEFT", "BURN RATES", "DATA"].map(str::to_owned)];
    rows.extend(slos.iter().zip(samples).map(|(slo, sample)| row(slo, sample)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        context.out.line(cells.join("   ").trim_end());
    }
    let short =
        |slo: &Slo, sample: &SloSample| alerting(slo).any(|(_, window)| window.length > sample.history);
    if slos.iter().zip(samples).any(|(slo, sample)| short(slo, sample)) {
        let text =
            "* the window, or the period of the budget, is longer than the data: this is what DATA shows";
        context.out.line("");
        context.out.line(context.out.paint(Style::Dim, text));
    }
}

/// The windows that alerts look at: all but the period's own.
fn alerting(slo: &Slo) -> impl Iterator<Item = (usize, &SloWindow)> {
    let period = slo.definition.period;
    slo.definition.windows.iter().enumerate().filter(move |(_, window)| window.window < period)
}

fn row(slo: &Slo, sample: &SloSample) -> [String; 5] {
    let definition = &slo.definition;
    let rate = |at: usize| sample.burn_rates.get(at).copied().flatten();
    let period = definition.windows.iter().position(|window| window.window == definition.period);
    let mark = |window: &SloWindow| if window.length > sample.history { "*" } else { "" };
    let left = period.and_then(|at| Some((rate(at)?, &definition.windows[at])));
    let left = left.map_or_else(
        || "-".to_owned(),
        |(spent, window)| format!("{:.2} %{}", (1.0 - spent) * 100.0, mark(window)),
    );
    let rates = alerting(slo).map(|(at, window)| {
        let name = PromDuration::from_millis(window.window.0.unsigned_abs());
        let rate = rate(at).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
        format!("{name} {rate}{}", mark(window))
    });
    [
        definition.slo.clone(),
        format!("{} %", (definition.objective * 1e7).round() / 1e5),
        left,
        rates.collect::<Vec<_>>().join("  "),
        sample.history.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use harness_event::{Millis, Timestamp};

    use super::*;

    #[test]
    fn json_of_an_slo() {
        let window = |minutes: i64, record: &str| SloWindow {
            window: Millis::from_secs(minutes * 60),
            length: Millis::from_secs(minutes * 2),
            record: record.to_owned(),
        };
        let definition = SloDefinition {
            slo: "gallery-portal".to_owned(),
            service: "gallery".to_owned(),
            objective: 0.999_000_000_000_000_1,
            period: Millis::from_secs(30 * 86_400),
            windows: vec![window(5, "ratio_rate5m"), window(30 * 1440, "ratio_rate30d")],
            expression: "x".to_owned(),
        };
        let sample = SloSample {
            slo: "gallery-portal".to_owned(),
            sampled_at: Timestamp(0),
            burn_rates: vec![None, Some(0.25)],
            history: Millis::from_secs(60),
        };
        insta::assert_snapshot!(serde_json::to_string(&report(&definition, &sample)).unwrap(), @r#"{"slo":"gallery-portal","service":"gallery","objective":0.999,"period_ms":2592000000,"budget_left":0.75,"windows":[{"window_ms":300000,"length_ms":10000,"burn_rate":null},{"window_ms":2592000000,"length_ms":86400000,"burn_rate":0.25}],"history_ms":60000}"#);
    }
}
