//! Sites as they are: settings that print, `.env` loaders, projects in sub-folders.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage};

use crate::{BINARY, backup, ok, report, restore};

#[test]
fn settings_and_apps_that_print() {
    let site = Site::bookshop(600, 60);
    site.settings(
        "import sys\nprint('{\"event\": \"report\"}')\nprint('loading', flush=True)\n\
        sys.stderr.write('a warning\\n')\nos.write(1, b'\\x00\\xff raw bytes\\n')",
    );
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
    let listed = ok(&site, &["list"]).stdout;
    assert!(!listed.contains("loading"), "{listed}");
}

#[test]
fn an_environment_file_that_manage_py_loads() {
    let site = Site::bookshop(600, 60);
    site.write(".env", "SHOP_DATABASE=moved.sqlite3\nBACKUP_DIR=kept here\n");
    let manage = fs::read_to_string(site.path("manage.py")).expect("it is there");
    let load = "if __name__ == \"__main__\":\n    for line in open(os.path.join(os.path.dirname(__file__), \".env\")):\n        name, value = line.strip().split(\"=\")\n        os.environ.setdefault(name, value)";
    site.write("manage.py", manage.replace("if __name__ == \"__main__\":", load));
    site.settings("DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / os.environ['SHOP_DATABASE']}}");
    fs::rename(site.path("db.sqlite3"), site.path("moved.sqlite3")).expect("it can be moved");
    let done = report(&site, &["backup", "--filename", "b"]);
    let path = done["path"].as_str().expect("it has a path");
    assert!(path.ends_with("/kept here/b.tar.gz"), "{path}");
    let name = done["manifest"]["metadata"]["databases"]["default"]["name"]
        .as_str()
        .expect("it has a name");
    assert!(name.ends_with("/moved.sqlite3"), "{name}");
}

#[test]
fn a_project_in_a_sub_folder() {
    let site = Site::bookshop(600, 60);
    let outer = site.outside("repository");
    fs::create_dir(&outer).expect("it is new");
    fs::write(outer.join("README.md"), "A repository.").expect("it can be written");
    fs::rename(site.root(), outer.join("src")).expect("it can be moved");
    let answer =
        site.call(BINARY, &["--format", "json", "backup"]).in_folder(&outer).run().expect(0);
    let path = answer.json()["path"].as_str().expect("it has a path").to_owned();
    assert!(path.contains("/repository/src/backups/"), "{path}");
    let answer = site
        .call(BINARY, &["list", "--project", "repository"])
        .in_folder(site.outside(""))
        .run()
        .expect(0);
    assert!(answer.stdout.contains("complete"), "{answer}");
    fs::create_dir_all(outer.join("other")).expect("folders can be made");
    fs::copy(outer.join("src/manage.py"), outer.join("other/manage.py")).expect("it can be copied");
    site.call(BINARY, &["list"]).in_folder(&outer).run().expect(2);
}

#[test]
fn without_python_the_environment_serves() {
    let site = Site::plain();
    fs::remove_file(site.path("dalsegno.toml")).expect("it is there");
    let call = |args: &[&str]| {
        site.call(BINARY, args)
            .env("DATABASE_URL", format!("sqlite:///{}", site.path("db.sqlite3").display()))
            .env("MEDIA_ROOT", site.path("media"))
            .run()
            .expect(0)
    };
    let before = site.state();
    call(&["backup", "--filename", "b"]);
    damage(&site);
    call(&["restore", "b", "--force"]);
    assert_same(&before, &site.state());
}

#[test]
fn settings_come_from_option_setting_and_environment_in_this_order() {
    let site = Site::plain();
    let call = |args: &[&str]| {
        let answer = site.call(BINARY, args).env("BACKUP_DIR", "by environment").run().expect(0);
        answer.json()["path"].as_str().expect("it has a path").to_owned()
    };
    let args = ["--format", "json", "backup"];
    assert!(call(&args).contains("/by environment/"));
    site.settings("[settings]\nBACKUP_DIR = \"by setting\"");
    assert!(call(&args).contains("/by setting/"));
    assert!(call(&[&args[..], &["--output-dir", "by option"]].concat()).contains("/by option/"));
}

#[test]
fn an_app_of_its_own_named_backups() {
    let site = Site::bookshop(600, 60);
    site.write("backups/__init__.py", "");
    site.write("backups/models.py", "");
    site.settings("INSTALLED_APPS += ['backups']");
    let answer = ok(&site, &["doctor"]);
    assert!(answer.stdout.contains("app of its own named `backups`"), "{answer}");
    backup(&site, "b", &[]);
    assert!(site.names("backups").contains(&"__init__.py".to_owned()));
}
