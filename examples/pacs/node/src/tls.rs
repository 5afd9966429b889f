//! TLS 1.2 and 1.3, with certificates out of PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::Result;

/// A certificate, its chain, and its key.
pub struct Own<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// What the node shows to those that connect; with `clients`, they need a certificate that one of
/// these has signed.
pub fn server(own: &Own, clients: Option<&Path>) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider).build()?,
            )
        }
    };
    Ok(Arc::new(builder.with_single_cert(certificates(own.certificate)?, key(own.key)?)?))
}

/// How the node connects to an archive whose certificate one of those in `archive` has signed.
pub fn client(archive: &Path, own: Option<&Own>) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots(archive)?);
    Ok(Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            builder.with_client_auth_cert(certificates(own.certificate)?, key(own.key)?)?
        }
    }))
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |error| format!("{}: no certificates in PEM: {error}", path.display());
    let found: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(bad)?.collect();
    let found = found.map_err(bad)?;
    if found.is_empty() {
        Err(format!("{}: no certificate in PEM", path.display()).into())
    } else {
        Ok(found)
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    Ok(PrivateKeyDer::from_pem_file(path)
        .map_err(|error| format!("{}: no key in PEM: {error}", path.display()))?)
}
