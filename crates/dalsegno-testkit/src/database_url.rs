//! Databases of throw-away servers as `DATABASE_URL` names them.

use std::fmt::Write as _;

use crate::{MariadbServer, PostgresServer};

impl PostgresServer {
    /// The URL of a database, for the superuser, over TCP.
    pub fn url(&self, database: &str) -> String {
        url("postgres", (Self::USER, Self::PASSWORD), (self.host(), self.port()), database)
    }
}

impl MariadbServer {
    /// The URL of a database, for the account that may do everything, over TCP.
    pub fn url(&self, database: &str) -> String {
        url("mysql", (self.user(), self.password()), (self.host(), self.port()), database)
    }
}

fn url(scheme: &str, (user, password): (&str, &str), at: (&str, u16), database: &str) -> String {
    let (user, password, database) = (encoded(user), encoded(password), encoded(database));
    format!("{scheme}://{user}:{password}@{}:{}/{database}", at.0, at.1)
}

/// Percent-encoded, but for letters and digits.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string can be written to");
        }
    }
    out
}
