//! Which Python runs the project.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// An interpreter and how it came to be considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The program, absolute. Links are kept: a virtual environment is known by the path it is
    /// called under.
    pub program: PathBuf,
    /// `--python`, `VIRTUAL_ENV`, `.venv`, `venv`, `env`, `shebang of manage.py` or `PATH`.
    pub origin: String,
}

/// What is asked for, in the environment of this process.
pub(crate) struct Surroundings<'a> {
    pub(crate) virtual_env: Option<&'a OsStr>,
    pub(crate) search_path: Option<&'a OsStr>,
}

/// Candidates in the order they are to be tried, and those that are not there. An interpreter
/// that was `given` is the only one.
///
/// `asked` is the folder the project was looked for in, `working_dir` that of a relative `given`.
pub(crate) fn candidates(
    given: Option<&Path>,
    manage_py: &Path,
    asked: &Path,
    working_dir: &Path,
    surroundings: &Surroundings<'_>,
) -> Vec<Result<Interpreter, Interpreter>> {
    let found = |program: PathBuf, origin: &str| {
        let origin = origin.to_owned();
        let there = program.is_file();
        let interpreter = Interpreter { program, origin };
        if there { Ok(interpreter) } else { Err(interpreter) }
    };
    let named = |name: &Path, origin: &str| match on_path(name, surroundings.search_path) {
        Some(program) => found(program, origin),
        None => Err(Interpreter { program: name.to_owned(), origin: origin.to_owned() }),
    };
    if let Some(given) = given {
        let is_name = given.components().count() == 1 && !working_dir.join(given).exists();
        return vec![if is_name {
            named(given, "--python")
        } else {
            found(working_dir.join(given), "--python")
        }];
    }
    let mut list = Vec::new();
    if let Some(root) = surroundings.virtual_env.filter(|root| !root.is_empty()) {
        list.push(found(Path::new(root).join("bin/python"), "VIRTUAL_ENV"));
    }
    let beside = manage_py.parent().unwrap_or(manage_py);
    let folders = if beside == asked { vec![beside] } else { vec![beside, asked] };
    for folder in folders {
        for name in [".venv", "venv", "env"] {
            let candidate = found(folder.join(name).join("bin/python"), name);
            // `env` is a name for many things: silent where it is none.
            if name != "env" || candidate.is_ok() {
                list.push(candidate);
            }
        }
    }
    if let Some(program) = shebang(manage_py) {
        let origin = "shebang of manage.py";
        let is_name = program.components().count() == 1;
        list.push(if is_name { named(&program, origin) } else { found(program, origin) });
    }
    list.push(named(Path::new("python3"), "PATH"));
    let mut seen = Vec::new();
    list.retain(|candidate| {
        let (Ok(interpreter) | Err(interpreter)) = candidate;
        let new = !seen.contains(&interpreter.program);
        seen.push(interpreter.program.clone());
        new
    });
    list
}

fn on_path(name: &Path, search_path: Option<&OsStr>) -> Option<PathBuf> {
    env::split_paths(search_path?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The interpreter in the first line of a script; a bare name for one that `env` looks up.
fn shebang(script: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    let file = File::open(script).ok()?;
    BufReader::new(file.take(1024)).read_until(b'\n', &mut line).ok()?;
    shebang_of(std::str::from_utf8(&line).ok()?)
}

fn shebang_of(line: &str) -> Option<PathBuf> {
    let mut words = line.strip_prefix("#!")?.split_whitespace();
    let program = Path::new(words.next()?);
    if program.file_name() != Some(OsStr::new("env")) {
        return Some(program.to_owned());
    }
    words.find(|word| !word.starts_with('-') && !word.contains('=')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn first_lines() {
        for (line, program) in [
            ("#!/usr/bin/env python\n", Some("python")),
            ("#!/usr/bin/env -S python3.11 -X dev\n", Some("python3.11")),
            ("#!/usr/bin/env -S A=b python3\n", Some("python3")),
            ("#! /opt/app/bin/python -E\r\n", Some("/opt/app/bin/python")),
            ("import os\n", None),
            ("#!\n", None),
            ("", None),
        ] {
            assert_eq!(shebang_of(line), program.map(PathBuf::from), "{line:?}");
        }
    }

    #[test]
    fn order_of_candidates() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for file in ["repo/venv/bin/python", "repo/src/env/bin/python", "bin/python3", "bin/python"]
        {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "").unwrap();
        }
        fs::write(at("repo/src/manage.py"), "#!/usr/bin/env python\n").unwrap();
        let (active, path) = (at("active"), at("bin"));
        let surroundings = Surroundings {
            virtual_env: Some(active.as_os_str()),
            search_path: Some(path.as_os_str()),
        };
        let list = |given: Option<&str>| -> Vec<(bool, PathBuf, String)> {
            let manage_py = at("repo/src/manage.py");
            let all = candidates(
                given.map(Path::new),
                &manage_py,
                &at("repo"),
                &at("repo"),
                &surroundings,
            );
            all.into_iter()
                .map(|candidate| {
                    let there = candidate.is_ok();
                    let (Ok(i) | Err(i)) = candidate;
                    (there, i.program, i.origin)
                })
                .collect()
        };
        let expected = [
            (false, "active/bin/python", "VIRTUAL_ENV"),
            (false, "repo/src/.venv/bin/python", ".venv"),
            (false, "repo/src/venv/bin/python", "venv"),
            (true, "repo/src/env/bin/python", "env"),
            (false, "repo/.venv/bin/python", ".venv"),
            (true, "repo/venv/bin/python", "venv"),
            (true, "bin/python", "shebang of manage.py"),
            (true, "bin/python3", "PATH"),
        ];
        assert_eq!(list(None), expected.map(|(there, p, o)| (there, at(p), o.to_owned())));
        let given = "--python".to_owned();
        assert_eq!(
            list(Some("venv/bin/python")),
            [(true, at("repo/venv/bin/python"), given.clone())]
        );
        assert_eq!(list(Some("python3")), [(true, at("bin/python3"), given.clone())]);
        assert_eq!(list(Some("python9")), [(false, PathBuf::from("python9"), given)]);
    }
}
