use std::path::PathBuf;

/// How a connection to a server is protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// How much is asked of the server.
    pub mode: TlsMode,
    /// Certificates of the authorities that are believed, PEM; those of the system without it.
    pub root: Option<PathBuf>,
    /// Our own certificate, PEM, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How much is asked of a server's certificate; the names are those of `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it, without a look at its certificate.
    #[default]
    Prefer,
    /// Encryption, without a look at the certificate.
    Require,
    /// The certificate must come from an authority that is believed.
    VerifyCa,
    /// And it must be for the host.
    VerifyFull,
}
