//! `harness up`.

use std::path::Path;

use super::{Context, addresses, args::UpArgs, pace, signals};
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
        stack = Stack::ensure(&options, &progress) => stack?,
        signal = signals::stop_requested() => {
            let undone = stack::undo_start(&context.state_dir, &progress).await?;
            let state = if undone { "what had been started is stopped" } else { "nothing was started" }.to_owned();
            return Err(ExpectedError::Interrupted { signal, state });
        }
    };
    drop(progress);
    show(&stack, context).await
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
    out.line("");
    out.line(format_args!("  export KUBECONFIG={}", quoted(&stack.kubeconfig)));
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
    fn a_path_survives_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
