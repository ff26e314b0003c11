//! At which pace the stack's time runs, and which past its Prometheus has: what was asked for, and what is said about it.

use harness_event::PlannedHistory;
use harness_slo::compress::Length;

use super::Context;
use crate::{
    expected_error::ExpectedError,
    output::Style,
    stack::{Compression, History},
};

/// The compression that a run needs: of the command line or of the scenario, which must not disagree. A cluster of the user's own
/// is never compressed.
pub(super) fn wanted(
    given: Option<u32>,
    planned: Option<u32>,
    context: &Context,
) -> Result<Option<u32>, ExpectedError> {
    let usage = |message: String, hint: &str| ExpectedError::Usage { message, hint: Some(hint.to_owned()) };
    if let (Some(given), Some(planned)) = (given, planned)
        && given != planned
    {
        return Err(usage(
            format!("--compress {given} contradicts the scenario, which says compress = {planned}"),
            "the scenario's times are made for its own factor: leave --compress out",
        ));
    }
    let factor = given.or(planned);
    match factor {
        Some(factor) if context.external() => Err(usage(
            format!(
                "time can't be compressed ×{factor} on a cluster of your own: that would replace the configuration of its \
                 Prometheus and Alertmanager"
            ),
            "run it without --kubeconfig and --context, on the embedded stack",
        )),
        factor => Ok(factor),
    }
}

/// The past that a scenario wants Prometheus to have. A Prometheus of the user's own keeps the one it has.
pub(super) fn history(
    planned: Option<PlannedHistory>,
    context: &Context,
) -> Result<Option<History>, ExpectedError> {
    let Some(PlannedHistory { length, rate }) = planned else { return Ok(None) };
    if context.external() {
        return Err(ExpectedError::Usage {
            message: format!(
                "Prometheus can't be given a past of {length} on a cluster of your own: that would replace its data"
            ),
            hint: Some("run it without --kubeconfig and --context, on the embedded stack".to_owned()),
        });
    }
    // The scenario's check leaves no negative length.
    let length = Length::from_millis(length.0.unsigned_abs());
    Ok(Some(History { length, per_second: rate }))
}

/// Says that time is compressed, and what is not.
pub(super) fn show(compression: &Compression, context: &Context) {
    let out = &context.out;
    let head = format!(
        "Time is compressed ×{}, no latency seen here is a claim about production",
        compression.factor
    );
    out.line(out.paint(Style::Warn, head));
    for text in &compression.unscaled {
        out.line(format_args!("  does not scale: {text}"));
    }
    for text in &compression.warnings {
        out.line(format_args!("  note: {text}"));
    }
}

/// Says so if the stack runs at another pace than a run would have.
pub(super) fn compare(wanted: Option<u32>, present: Option<&Compression>, context: &Context) {
    let present = present.map(|compression| compression.factor);
    if present != wanted {
        let name = |factor: Option<u32>| {
            factor.map_or_else(|| "as authored".to_owned(), |factor| format!("×{factor}"))
        };
        context.out.line(format_args!(
            "note: the stack's time runs {}, a run would set it to {}; the times below are those of now",
            name(present),
            name(wanted)
        ));
    }
}
