//! `harness down`.

use super::{Context, args::DownArgs};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    stack::{self, Down},
};

pub(super) async fn exec(_args: &DownArgs, context: &Context) -> Result<u8, ExpectedError> {
    if context.external() {
        return Err(ExpectedError::Usage {
            message: "`harness down` stops the embedded cluster: it leaves clusters of your own alone"
                .to_owned(),
            hint: Some(
                "run it without --kubeconfig and --context, or with --state-dir of the stack".to_owned(),
            ),
        });
    }
    let progress = context.progress();
    let down = progress.alive(stack::down(&context.state_dir, &progress)).await?;
    drop(progress);
    let out = &context.out;
    match down {
        Down::NothingThere => {
            out.line(format_args!(
                "No embedded stack in {}: nothing to do",
                context.state_dir.root().display()
            ));
        }
        Down::Cleaned => out.line("The embedded stack had ended by itself; its data are removed"),
        Down::Stopped { pid, took, killed: false } => out.line(format_args!(
            "Stopped the embedded stack (pid {pid}) in {:.1} s and removed its data",
            took.as_secs_f64()
        )),
        Down::Stopped { pid, took, killed: true } => out.line(format_args!(
            "The embedded stack (pid {pid}) did not stop within {:.0} s and was killed; its data are removed",
            took.as_secs_f64()
        )),
    }
    Ok(exit_code::PASSED)
}
