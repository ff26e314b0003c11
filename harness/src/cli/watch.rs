//! `harness watch`: a cluster without a scenario.

use std::{io, path::PathBuf, sync::mpsc};

use clap::Args;
use harness_engine::{Log, Scope, WatchOptions, watch_cluster};
use harness_tui::{Mode, Options};

use super::{Context, reports, signals::Cancel, values::address};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::Output,
    stack::{self, State},
    target::Target,
    view::{Environment, Host, Live, ViewArg, ViewOptions, choose},
};

/// Namespace of the demo system.
const DEMO: &str = "gallery";
/// Where Prometheus is in the embedded stack.
const EMBEDDED_PROMETHEUS: &str = "service://monitoring/prometheus:19090";

/// Watch a cluster without a scenario: pods, autoscalers, Events, usage, alerts, SLOs
///
/// Nothing is changed and nothing is recorded. Each part is optional: what cannot be read (no metrics-server, no Prometheus, no right
/// to) is named in the view, and the rest is shown. q or Ctrl-C ends it.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness watch                             the demo system in the embedded stack
  harness watch -A                          all namespaces of it
  harness --context kind-dev watch -n shop --prometheus service://monitoring/prometheus:9090
  harness watch --view line | tee what-happened.txt

Exit code 0 when it is ended, 2 if no stack is up, 4 if the cluster does not answer.")]
pub struct WatchArgs {
    /// Namespace [default: that of the context; the demo system's in the embedded stack]
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    pub namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Prometheus: a URL, or service://NAMESPACE/NAME:PORT through the API server [default: that of the embedded stack, none for
    /// other clusters]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub prometheus: Option<String>,
    /// What is shown: auto, tui (the terminal view) or line (one line for each thing that happens)
    #[arg(
        long,
        value_name = "VIEW",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub view: ViewArg,
}

pub(super) async fn exec(args: WatchArgs, context: &Context) -> Result<u8, ExpectedError> {
    let kind = choose(args.view, Environment::here())?;
    let embedded = !context.external();
    let found = connect(context).await?;
    let scope = match (args.all_namespaces, args.namespace) {
        (true, _) => Scope::All,
        (false, Some(namespace)) => Scope::Namespace(namespace),
        (false, None) if embedded => Scope::Namespace(DEMO.to_owned()),
        (false, None) => Scope::Namespace(found.namespace.clone()),
    };
    let prometheus = args.prometheus.or_else(|| embedded.then(|| EMBEDDED_PROMETHEUS.to_owned()));
    let name = match embedded {
        true => "embedded".to_owned(),
        false => context.global.context.clone().unwrap_or_else(|| "kubeconfig".to_owned()),
    };
    let target = harness_engine::Target {
        client: found.client,
        context: name,
        server: found.server,
        own_stack: embedded,
    };
    let options = WatchOptions {
        scope,
        prometheus,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kubernetes: found.version,
    };
    let cancel = Cancel::listen();
    let (sender, events) = mpsc::channel();
    let log = Log::passing(sender);
    let aside = Aside::new()?;
    let style = reports::style(&context.out);
    let view = ViewOptions {
        kind,
        out: Output::stdout(context.global.color),
        style,
        terminal: Options {
            color: style.color,
            unicode: style.unicode,
            mode: Mode::Watch,
            leave_when_over: true,
            panic_log: None,
        },
        stderr: aside.0.clone(),
        unread: cancel.token.clone(),
    };
    let (live, wishes) = Live::start(view, events).map_err(|source| ExpectedError::Internal {
        what: "the view could not be started".to_owned(),
        source: source.into(),
    })?;
    if let Some(sender) = live.sender() {
        let by_hand = cancel.clone();
        let host = Host::new(target.client.clone(), move || by_hand.by_hand("Ctrl-C"));
        tokio::spawn(host.serve(wishes, sender));
    }
    watch_cluster(options, &target, &log, &cancel.token).await;
    drop(log);
    live.conclude(None, &cancel.token).await;
    Ok(exit_code::PASSED)
}

/// The cluster that is there. A watch starts none: there would be nothing to see in it that one did not do oneself.
async fn connect(context: &Context) -> Result<Target, ExpectedError> {
    let global = &context.global;
    if context.external() {
        return Ok(Target::external(global.kubeconfig.as_deref(), global.context.as_deref()).await?);
    }
    match stack::state(&context.state_dir)? {
        State::Up(_) if context.state_dir.kubeconfig().exists() => {
            Ok(Target::embedded(&context.state_dir.kubeconfig()).await?)
        }
        State::Up(_) | State::Down | State::Crashed => Err(ExpectedError::Usage {
            message: format!("no embedded stack is up in {}", context.state_dir.root().display()),
            hint: Some("`harness up` starts one; --kubeconfig or --context name another cluster".to_owned()),
        }),
    }
}

/// Where standard error goes while the view has the screen: a file that is there only as long as the watch.
struct Aside(PathBuf);

impl Aside {
    fn new() -> Result<Self, ExpectedError> {
        let path = std::env::temp_dir().join(format!("harness-watch-{}.log", super::record::run_id()));
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let failed = |source: io::Error| ExpectedError::File { verb: "write", path: path.clone(), source };
        made.map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It is gone already if nothing was written.
        let _ = std::fs::remove_file(&self.0);
    }
}
