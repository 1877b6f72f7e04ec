//! A certificate authority for servers and clients of a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::call::is_root;
use crate::python::output;

/// An authority that nobody knows, in a temporary folder; made by `openssl`.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, which only its owner can read.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("dalsegno-authority-").expect("a folder can be made");
        // The throw-away servers run as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))
            .expect("our own folder can be opened");
        let authority = Self { folder };
        let mut openssl = authority.openssl("req");
        openssl.args(["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-days", "30", "-subj", "/CN=dalsegno test authority"]);
        output(openssl.args(["-keyout", "ca.key", "-out", "ca.pem"]));
        authority
    }

    /// Its own certificate: what a client is to believe.
    pub fn root(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A server's identity: for `localhost` and `127.0.0.1`, readable for the throw-away servers.
    pub fn server(&self) -> Identity {
        let identity = self.issue("server", "subjectAltName=DNS:localhost,IP:127.0.0.1");
        if is_root() {
            output(Command::new("chown").arg("nobody:nogroup").arg(&identity.key));
        }
        identity
    }

    /// An identity of a server that has another name than ours have.
    pub fn stranger(&self) -> Identity {
        let identity = self.issue("stranger", "subjectAltName=DNS:elsewhere.invalid");
        if is_root() {
            output(Command::new("chown").arg("nobody:nogroup").arg(&identity.key));
        }
        identity
    }

    /// A client's identity, for the user of this name.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(name, "extendedKeyUsage=clientAuth")
    }

    fn issue(&self, name: &str, extension: &str) -> Identity {
        let file = |ending: &str| format!("{name}.{ending}");
        fs::write(self.path(&file("ext")), extension).expect("our own folder takes a file");
        let mut openssl = self.openssl("req");
        openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-subj", &format!("/CN={name}")]);
        output(openssl.args(["-keyout", &file("key"), "-out", &file("csr")]));
        let mut openssl = self.openssl("x509");
        openssl.args(["-req", "-days", "30", "-CA", "ca.pem", "-CAkey", "ca.key"]);
        openssl.args(["-CAcreateserial", "-extfile", &file("ext")]);
        output(openssl.args(["-in", &file("csr"), "-out", &file("pem")]));
        let key = self.path(&file("key"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is our own");
        Identity { certificate: self.path(&file("pem")), key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, verb: &str) -> Command {
        let mut command = Command::new("openssl");
        command.arg(verb).current_dir(Path::new(self.folder.path()));
        command
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
