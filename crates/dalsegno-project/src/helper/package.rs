//! The other side of the conversation, as it goes through the pipe.

use serde_json::{Map, Value};

/// Each module of `python/dalsegno/describe` under the name that it is imported by.
macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../../../../python/dalsegno/describe/", $name, ".py")),
        )),+]
    };
}

const MODULES: &[(&str, &str)] = modules![
    "__init__",
    "connection",
    "conversation",
    "databases",
    "descriptor",
    "dump",
    "ending",
    "errors",
    "fixture",
    "helper",
    "load",
    "marker",
    "migrations",
    "models",
    "mysql",
    "option_file",
    "postgresql",
    "rows",
    "settings",
    "sqlite_names",
    "start",
    "stored",
    "storages",
    "values",
];

/// Name and text of every module, in JSON: what `bootstrap.py` makes importable.
pub(super) fn package() -> Value {
    let modules = MODULES.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text)));
    Value::Object(modules.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn no_module_is_left_behind() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/dalsegno/describe");
        let lying: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let handed_over: BTreeSet<String> =
            package().as_object().unwrap().keys().cloned().collect();
        assert_eq!(handed_over, lying);
    }
}
