//! The adapter as a Service of the cluster: `prometheus-sd.kube-system.svc`.

use std::{io, net::SocketAddr};

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::server::serve;
use crate::own_service::{self, NAMESPACE};

/// Port of the Service and of the adapter.
pub const PORT: u16 = 18_098;
const NAME: &str = "prometheus-sd";

/// Why the adapter is not there.
#[derive(Debug, thiserror::Error)]
pub enum SdError {
    /// Its Service could not be applied.
    #[error("the Service {NAMESPACE}/{NAME} could not be applied")]
    Apply(#[from] kube::Error),
    /// It could not listen.
    #[error("service discovery could not listen")]
    Listen(#[from] io::Error),
}

/// Serves on `bind` and makes a Service without selector point there, until told to stop.
///
/// # Errors
/// See [`SdError`].
pub async fn run(client: Client, bind: SocketAddr, shutdown: CancellationToken) -> Result<(), SdError> {
    own_service::apply(&client, NAME, PORT, bind).await?;
    serve(client, bind, shutdown).await?;
    Ok(())
}
