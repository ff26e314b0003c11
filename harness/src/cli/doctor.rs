//! `harness doctor`.

use super::{Context, args::DoctorArgs};
use crate::{exit_code, expected_error::ExpectedError, output::Style, stack};

pub(super) fn exec(_args: &DoctorArgs, context: &Context) -> Result<u8, ExpectedError> {
    let out = &context.out;
    let programs = stack::survey();
    let missing = programs.iter().filter(|one| one.path.is_none() && !one.optional).count();
    out.line(format_args!("harness {}", env!("CARGO_PKG_VERSION")));
    out.line("");
    let width = programs.iter().map(|one| one.program.len()).max().unwrap_or(0);
    for one in &programs {
        let name = format!("{:<width$}", one.program);
        out.line(match &one.path {
            Some(path) => format!(
                "{} {name}  {:<10} {}",
                out.paint(Style::Good, "ok     "),
                one.version.as_deref().unwrap_or("?"),
                path.display()
            ),
            None => {
                let (style, state) =
                    if one.optional { (Style::Dim, "absent ") } else { (Style::Bad, "missing") };
                format!("{} {name}  {} ({})", out.paint(style, state), one.purpose, one.install)
            }
        });
    }
    out.line("");
    for (name, found) in stack::service_binaries() {
        out.line(match found {
            Some(path) => format!("{} {name:<width$}  {}", out.paint(Style::Good, "ok     "), path.display()),
            None => format!("{} {name:<width$}  built when it is needed", out.paint(Style::Dim, "later  ")),
        });
    }
    out.line("");
    if missing == 0 {
        out.line("The embedded stack can run here.");
        return Ok(exit_code::PASSED);
    }
    out.line(format_args!(
        "{missing} missing: `make tools` unpacks them into a cache directory (nothing is installed or started)."
    ));
    Ok(exit_code::UNREACHABLE)
}
