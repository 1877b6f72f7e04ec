"""``manage.py check``."""

from __future__ import annotations

from sites import SiteTest


class Checks(SiteTest):
    def test_a_site_without_settings_of_ours_is_fine(self) -> None:
        done = self.site.manage("check", "--fail-level", "WARNING")
        self.assertCode(0, done)
        self.assertIn("no issues", done.stdout)

    def test_unknown_settings_are_named_with_the_nearest(self) -> None:
        self.site.settings("BACKUP_DIRS = 'x'\nBACKUP_NONSENSE_OF_ALL_KINDS = 1\n")
        done = self.site.manage("check", env={"BACKUP_ROOTS": "/x"})
        self.assertCode(1, done)
        for said in (
            "(backups.E001) `BACKUP_DIRS` is no setting of Dalsegno.\n\tHINT: Did you mean `BACKUP_DIR`?",
            "(backups.E001) `BACKUP_NONSENSE_OF_ALL_KINDS` is no setting of Dalsegno.\n\tHINT: Remove it",
            "(backups.W001) `BACKUP_ROOTS` in the environment is no setting of Dalsegno.",
        ):
            self.assertIn(said, done.stderr)
        # A bad day is no day for spelling.
        self.site.ok("backup", "--quiet")

    def test_bad_values(self) -> None:
        self.site.settings("BACKUP_RETENTION_DAYS = 'soon'\n")
        done = self.site.manage("check")
        self.assertCode(1, done)
        self.assertIn("(backups.E002) BACKUP_RETENTION_DAYS (", done.stderr)
        self.assertIn("HINT: Correct BACKUP_RETENTION_DAYS", done.stderr)
        self.assertCode(2, self.site.manage("backup"))

    def test_a_site_without_the_program_starts_all_the_same(self) -> None:
        nowhere = {"DALSEGNO_BINARY": "/nowhere/dalsegno"}
        done = self.site.manage("migrate", env=nowhere)
        self.assertCode(0, done)
        self.assertIn("(backups.W003) DALSEGNO_BINARY is `/nowhere/dalsegno`", done.stderr)
        done = self.site.manage("backup", env=nowhere)
        self.assertCode(1, done)
        self.assertIn("CommandError: DALSEGNO_BINARY is `/nowhere/dalsegno`", done.stderr)

    def test_a_program_that_does_not_do_what_it_should_is_no_reason_not_to_start(self) -> None:
        older = "error: unexpected argument '--descriptor-fd' found"
        for script, said in (
            (f'echo "{older}" >&2; exit 2', "unexpected argument '--descriptor-fd' found"),
            ("exit 7", "`describe` ended with exit code 7 and without a report"),
            ('echo \'{"event": "report", "verb": "describe"}\'', "the program's answer is not understood"),
            ("kill -11 $$", "the program was ended by SIGSEGV during `describe`"),
        ):
            with self.subTest(script=script):
                done = self.site.manage("migrate", env=self.site.program(script))
                self.assertCode(0, done)
                self.assertIn(f"(backups.W004) the settings cannot be checked: {said}", done.stderr)

    def test_a_program_that_does_not_answer_holds_nobody_up(self) -> None:
        said = self.site.script(
            """
            from backups import checks
            assert 1 < checks.PATIENCE <= 10
            checks.PATIENCE = 0.5
            for message in checks.check_settings(None):
                print(message.id, message.msg)
            """,
            # What it started keeps its standard output open.
            env=self.site.program("sleep 300; true"),
            timeout=60,
        )
        self.assertRegex(said, r"^backups.W004 .*: the program `.*` did not answer within 0.5 seconds\n$")

    def test_the_database_is_left_alone(self) -> None:
        (self.site.root / "db.sqlite3").unlink()
        self.assertCode(0, self.site.manage("check"))
        self.assertFalse((self.site.root / "db.sqlite3").exists())

    def test_a_command_of_another_app_by_our_name(self) -> None:
        folder = self.site.root / "books" / "management" / "commands"
        (folder / "backup.py").write_text(
            "from django.core.management.base import BaseCommand\nclass Command(BaseCommand):\n    pass\n"
        )
        self.site.settings("INSTALLED_APPS = ['backups', *INSTALLED_APPS[:-1]]\n")
        self.assertNotIn("W002", self.site.manage("check").stderr)
        self.site.settings("INSTALLED_APPS = [*INSTALLED_APPS[1:], 'backups']\n")
        done = self.site.manage("check")
        self.assertCode(0, done)
        self.assertIn("(backups.W002) `manage.py backup` is the command of app `books`", done.stderr)

    def test_an_app_of_the_sites_own_called_backups(self) -> None:
        app = self.site.root / "shelf"
        app.mkdir()
        (app / "__init__.py").write_text("")
        (app / "apps.py").write_text(
            "from django.apps import AppConfig\nclass Shelf(AppConfig):\n    name = 'shelf'\n    label = 'backups'\n"
        )
        (self.site.root / "bookshop" / "ours.py").write_text(
            "from backups.apps import BackupsConfig\nclass Ours(BackupsConfig):\n    label = 'dalsegno_backups'\n"
        )
        self.site.settings("INSTALLED_APPS = ['bookshop.ours.Ours', 'shelf', *INSTALLED_APPS[:-1]]\n")
        done = self.site.manage("check")
        self.assertCode(1, done)
        self.assertIn(f"(backups.E005) The project has an app of its own labelled `backups` ({app})", done.stderr)
