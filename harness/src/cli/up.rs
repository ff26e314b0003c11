//! `harness up`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Context, addresses, args::UpArgs, grafana, pace, signals};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::Style,
    stack::{self, Stack, StackOptions},
    target::Target,
};

pub(super) async fn exec(args: UpArgs, context: &Context) -> Result<u8, ExpectedError> {
    if context.external() {
        return Err(ExpectedError::Usage {
            message: "`harness up` starts the embedded cluster: it has no use for --kubeconfig and --context"
                .to_owned(),
            hint: Some(
                "to apply the manifests to a cluster of your own, use `kubectl apply -k deploy/...`"
                    .to_owned(),
            ),
        });
    }
    // Before anything is started: is there a Grafana?
    let elsewhere = args.grafana.elsewhere()?;
    if args.grafana.grafana {
        stack::grafana_is_installed()?;
    }
    let options = StackOptions {
        state_dir: context.state_dir.clone(),
        deploy_dir: args.stack.deploy_dir,
        ready_timeout: args.stack.ready_timeout,
        compress: args.stack.compress,
        reapply: true,
        retime: true,
        history: args.history.map(|length| stack::History { length, per_second: args.history_rate }),
        renew_history: false,
        keep_failed: true,
    };
    let progress = context.progress();
    let stack = tokio::select! {
        stack = progress.alive(bring_up(&options, args.grafana.grafana, &progress)) => stack?,
        signal = signals::stop_requested() => {
            let undone = stack::undo_start(&context.state_dir, &progress).await?;
            let state = if undone { "what had been started is stopped" } else { "nothing was started" }.to_owned();
            return Err(ExpectedError::Interrupted { signal, state });
        }
    };
    drop(progress);
    let mut code = exit_code::PASSED;
    if let Some(elsewhere) = elsewhere {
        // With --json, standard output is one object.
        let output = if args.json { &context.err } else { &context.out };
        code = grafana::into_grafana(&elsewhere, &stack, &options, context, output).await?;
    }
    if args.json {
        context.out.json(&report(&stack, context).await?)?;
        return Ok(code);
    }
    show(&stack, context).await.map(|_| code)
}

async fn bring_up(
    options: &StackOptions,
    grafana: bool,
    progress: &dyn stack::Progress,
) -> Result<Stack, stack::StackError> {
    let stack = Stack::ensure(options, progress).await?;
    if grafana {
        stack::add_grafana(options, progress).await?;
    }
    Ok(stack)
}

/// What `--json` shows. Documented in `docs/cli.md`.
#[derive(Debug, Serialize)]
struct Report {
    /// False if it was up already.
    started: bool,
    bring_up_ms: u128,
    kubeconfig: PathBuf,
    compressed: Option<u32>,
    /// Series of the healthy past that Prometheus was given.
    history: Vec<String>,
    #[serde(serialize_with = "addresses::as_map")]
    addresses: Vec<(&'static str, String)>,
}

async fn report(stack: &Stack, context: &Context) -> Result<Report, ExpectedError> {
    let target = Target::embedded(&stack.kubeconfig).await?;
    Ok(Report {
        started: stack.started_by_us,
        bring_up_ms: stack.bring_up.as_millis(),
        kubeconfig: stack.kubeconfig.clone(),
        compressed: stack.compression.as_ref().map(|compression| compression.factor),
        history: stack::history(&context.state_dir)?.map(|kept| kept.series).unwrap_or_default(),
        addresses: addresses::of(&target.client).await?,
    })
}

async fn show(stack: &Stack, context: &Context) -> Result<u8, ExpectedError> {
    let out = &context.out;
    if stack.started_by_us {
        out.line(format_args!(
            "{} in {:.1} s",
            out.paint(Style::Good, "The embedded stack is up"),
            stack.bring_up.as_secs_f64()
        ));
    } else {
        out.line(out.paint(Style::Good, "The embedded stack was up already"));
    }
    if let Some(compression) = &stack.compression {
        pace::show(compression, context);
    }
    if let Some(kept) = stack::history(&context.state_dir)? {
        out.line(format_args!(
            "Prometheus has a healthy past of {}: {}",
            kept.history.length,
            kept.series.join(", ")
        ));
    }
    let target = Target::embedded(&stack.kubeconfig).await?;
    for (name, url) in addresses::of(&target.client).await? {
        out.line(format_args!("  {name:<13} {url}"));
    }
    out.line(format_args!("  {:<13} {}", "kubeconfig", stack.kubeconfig.display()));
    context.remark("");
    context.remark(format_args!("  export KUBECONFIG={}", quoted(&stack.kubeconfig)));
    Ok(exit_code::PASSED)
}

/// A path as a word of a shell command.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_stack() {
        let report = Report {
            started: true,
            bring_up_ms: 8907,
            kubeconfig: "/state/kubeconfig".into(),
            compressed: Some(30),
            history: vec!["slo:sli_error:ratio_rate5m".to_owned()],
            addresses: vec![("portal", "http://127.98.0.2:18080".to_owned())],
        };
        insta::assert_snapshot!(serde_json::to_string(&report).unwrap(), @r#"{"started":true,"bring_up_ms":8907,"kubeconfig":"/state/kubeconfig","compressed":30,"history":["slo:sli_error:ratio_rate5m"],"addresses":{"portal":"http://127.98.0.2:18080"}}"#);
    }

    #[test]
    fn a_path_survives_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
