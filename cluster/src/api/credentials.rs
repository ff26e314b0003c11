//! Certificate authority, server certificate, token and kubeconfig of one cluster run.

use std::{
    fs, io,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Names under which the server can be reached beside its address.
const NAMES: [&str; 4] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
/// Name of the cluster, user and context in the kubeconfig.
const CONTEXT: &str = "sre-harness";

/// Why the credentials could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Certificates.
    #[error("the server certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// TLS configuration.
    #[error("the TLS server could not be configured")]
    Tls(#[from] rustls::Error),
    /// Writing the kubeconfig.
    #[error("the kubeconfig {path} could not be written")]
    Kubeconfig {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Fresh credentials: they live as long as the process and are valid nowhere else.
pub struct Credentials {
    ca_pem: String,
    token: String,
    tls: Arc<rustls::ServerConfig>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes a certificate authority, a certificate for `address` signed by it, and a token.
    pub fn generate(address: SocketAddr) -> Result<Self, CredentialsError> {
        let mut ca_params = CertificateParams::new(Vec::new())?;
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca_params.distinguished_name.push(DnType::CommonName, "sre-harness cluster CA");
        ca_params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let ca_key = KeyPair::generate()?;
        let ca = ca_params.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca_params, ca_key);

        let mut names: Vec<String> = NAMES.map(str::to_owned).to_vec();
        names.push(address.ip().to_string());
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone(), ca.der().clone()], private)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let token: [u8; 32] = rand::random();
        let token = token.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { ca_pem: ca.pem(), token, tls: Arc::new(tls) })
    }

    /// The bearer token of the only user.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// TLS configuration of the server.
    pub fn tls(&self) -> Arc<rustls::ServerConfig> {
        self.tls.clone()
    }

    /// The kubeconfig as text (JSON is YAML).
    fn kubeconfig(&self, server: SocketAddr) -> String {
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": {
                "server": format!("https://{server}"),
                "certificate-authority-data": STANDARD.encode(&self.ca_pem),
            }}],
            "users": [{"name": CONTEXT, "user": {"token": self.token}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}}],
            "current-context": CONTEXT,
        });
        serde_saphyr::to_string(&kubeconfig).unwrap_or_else(|_| kubeconfig.to_string())
    }

    /// Writes the kubeconfig, readable by its owner only, in one step: whoever sees the file sees all of it.
    pub fn write_kubeconfig(&self, server: SocketAddr, path: &Path) -> Result<(), CredentialsError> {
        let write = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(self.kubeconfig(server).as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|source| CredentialsError::Kubeconfig { path: path.to_owned(), source })
    }
}
