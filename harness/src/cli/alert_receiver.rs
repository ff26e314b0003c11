//! `harness alert-receiver`: what runs in the pod `alert-receiver`.

use harness_engine::monitor::receiver;
use tokio_util::sync::CancellationToken;

use super::{args::AlertReceiverArgs, signals};
use crate::{exit_code, expected_error::ExpectedError};

pub(super) async fn exec(args: AlertReceiverArgs) -> Result<u8, ExpectedError> {
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let signalled = tokio::spawn(async move {
        signals::stop_requested().await;
        stop.cancel();
    });
    let served = receiver::serve(args.listen, shutdown).await;
    signalled.abort();
    served.map(|()| exit_code::PASSED).map_err(|error| ExpectedError::Unreachable {
        what: format!("can't receive alerts on {}", args.listen),
        source: Some(error.into()),
    })
}
