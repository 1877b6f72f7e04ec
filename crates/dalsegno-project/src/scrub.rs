//! Secrets that other programs' messages quote.

use crate::MASK;
use crate::descriptor::Descriptor;

/// Shorter ones would mask parts of ordinary words.
const SHORTEST: usize = 4;

/// Masks every password of the project in the texts that drivers and settings wrote.
pub(crate) fn scrub(descriptor: &mut Descriptor) {
    let secrets: Vec<String> = descriptor
        .databases
        .values()
        .flat_map(|database| {
            let used = database.connection.as_ref().and_then(|used| used.password.as_ref());
            database.password.iter().chain(used)
        })
        .map(|password| password.expose().to_owned())
        .filter(|secret| secret.len() >= SHORTEST)
        .collect();
    if secrets.is_empty() {
        return;
    }
    let clean = |text: &mut String| {
        for secret in &secrets {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), MASK);
            }
        }
    };
    for database in descriptor.databases.values_mut() {
        database.reason.iter_mut().for_each(clean);
    }
    for storage in &mut descriptor.storages {
        storage.reason.iter_mut().for_each(clean);
        storage.error.iter_mut().for_each(clean);
    }
    descriptor.warnings.iter_mut().for_each(clean);
}
