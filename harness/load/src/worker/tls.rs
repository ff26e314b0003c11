//! TLS for the users' connections.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use thiserror::Error;
use tokio_rustls::TlsConnector;

/// TLS cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// No certificate in it.
    #[error("the certificates of private authorities can't be read")]
    Pem(#[source] Option<rustls::pki_types::pem::Error>),
    /// A certificate that is none.
    #[error("a certificate of a private authority can't be used")]
    Certificate(#[source] rustls::Error),
    /// The provider has no such versions.
    #[error("can't set up TLS")]
    Setup(#[source] rustls::Error),
}

/// Trusts the system's authorities, and the private ones beside them.
pub(super) fn connector(private: Option<&str>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        eprintln!("load worker: the system's certificates: {error}");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(pem) = private {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| TlsError::Pem(Some(error)))?;
            roots.add(certificate).map_err(TlsError::Certificate)?;
            found += 1;
        }
        if found == 0 {
            return Err(TlsError::Pem(None));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
