//! The metrics as a Service of the cluster: `kube-state-metrics.kube-system.svc`.

use std::{io, net::SocketAddr};

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::server::serve;
use crate::own_service::{self, NAMESPACE};

/// Port of the Service and of what is behind it.
pub const PORT: u16 = 18_097;
const NAME: &str = "kube-state-metrics";

/// Why the metrics are not there.
#[derive(Debug, thiserror::Error)]
pub enum StateMetricsError {
    /// Its Service could not be applied.
    #[error("the Service {NAMESPACE}/{NAME} could not be applied")]
    Apply(#[from] kube::Error),
    /// It could not listen.
    #[error("the metrics could not be served")]
    Listen(#[from] io::Error),
}

/// Serves on `bind` and makes a Service without selector point there, until told to stop.
///
/// # Errors
/// See [`StateMetricsError`].
pub async fn run(
    client: Client,
    bind: SocketAddr,
    shutdown: CancellationToken,
) -> Result<(), StateMetricsError> {
    own_service::apply(&client, NAME, PORT, bind).await?;
    serve(client, bind, shutdown).await?;
    Ok(())
}
