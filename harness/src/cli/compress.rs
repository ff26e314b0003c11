//! `harness slo compress`: rule files with their time compressed.

use std::fs;

use harness_slo::compress::{CompressError, Length, Ratio, Report, RuleFile, Sampling, scale_rules};

use super::{Context, args::SloCompressArgs};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    output::Style,
};

pub(super) fn exec(args: &SloCompressArgs, context: &Context) -> Result<u8, ExpectedError> {
    let usage = |message: String| ExpectedError::Usage { message, hint: None };
    let ratio = Ratio::between(args.time_scale, args.factor);
    let sampling = match &args.scrape_interval {
        Some(text) => {
            let interval = Length::parse(text).filter(|interval| interval.millis() > 0);
            let interval = interval
                .ok_or_else(|| usage(format!("--scrape-interval: {text:?} is no duration like 15s or 1m")))?;
            let scaled = interval.scaled(ratio);
            let scaled = scaled
                .ok_or_else(|| usage(format!("scraping every {interval} becomes less than a millisecond")))?;
            Sampling { scrape: Some(scaled), evaluation: Some(scaled) }
        }
        None => Sampling::default(),
    };
    let mut files = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| ExpectedError::File {
            verb: "read",
            path: path.clone(),
            source,
        })?;
        let file = RuleFile::parse(&name, &text).map_err(|error| usage(chain(&error)))?;
        files.push((name, file));
    }
    let mut report = Report::default();
    scale_rules(
        &mut files.iter_mut().map(|(_, file)| file).collect::<Vec<_>>(),
        ratio,
        sampling,
        &mut report,
    );
    let named = |style, head: &str, list: &[String]| {
        for text in list {
            context.err.line(format_args!("{} {text}", context.err.paint(style, head)));
        }
    };
    named(Style::Warn, "does not scale:", &report.unscaled);
    named(Style::Warn, "warning:", &report.warnings);
    if let Err(CompressError::Impossible { problems }) = report.checked() {
        named(Style::Bad, "error:", &problems);
        return Err(usage(format!("the rules can't be compressed ×{}", args.factor)));
    }
    // The groups of several files make one file, as long as their names differ.
    let mut all = RuleFile { groups: Vec::new() };
    for (name, file) in files {
        for group in file.groups {
            if all.groups.iter().any(|one| one.name == group.name) {
                return Err(usage(format!(
                    "{name}: there is a group {} in another file: compress them one by one",
                    group.name
                )));
            }
            all.groups.push(group);
        }
    }
    context
        .out
        .line(format_args!("# Time is compressed ×{}: not a latency claim about production.", args.factor));
    let yaml = all.to_yaml("rules").map_err(|error| usage(chain(&error)))?;
    context.out.line(yaml.trim_end());
    Ok(exit_code::PASSED)
}
