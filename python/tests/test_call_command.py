"""``call_command`` inside a process that is the site: views, tasks, tests."""

from __future__ import annotations

from sites import SiteTest

RETURN_CODE = """
from django.core.management import CommandError, call_command

def code(*words, **options):
    try:
        call_command(*words, **options)
    except CommandError as error:
        print(error.returncode, str(error).splitlines()[0])
        return error
    else:
        print(0)
"""


class CallCommand(SiteTest):
    def test_reports_go_where_they_are_wanted(self) -> None:
        said = self.site.script(
            """
            from io import StringIO
            from django.core.management import call_command
            out, err = StringIO(), StringIO()
            call_command("backup", filename="b", stdout=out, stderr=err)
            print(repr(out.getvalue().splitlines()[0].split(":")[0]))
            print(repr(err.getvalue().split(" (")[0]))
            out = StringIO()
            call_command("restore", "latest", force=True, verbosity=0, stdout=out, stderr=err)
            print(repr(out.getvalue()))
            """
        )
        self.assertEqual("'Backup b is complete'\n'backing up database default'\n''\n", said)

    def test_options_are_keywords(self) -> None:
        before = self.site.state()
        self.site.script(
            """
            import pathlib
            from django.core.management import call_command
            call_command("backup", output_dir=pathlib.Path("kept"), filename="a", skip_media=True, quiet=True)
            call_command("backup", output_dir="kept", filename="b", compress=False, database=["default"], verbosity=0)
            call_command("backup", "--output-dir=kept", "--filename=c", form="tar.zst", verbosity=0)
            """
        )
        names = sorted(path.name for path in (self.site.root / "kept").iterdir() if "manifest" not in path.name)
        self.assertEqual(["a.tar.gz", "b.tar", "c.tar.zst"], names)
        for words in ("force=True", "interactive=False", "noinput=True", "no_input=True"):
            self.site.damage()
            self.site.script(
                f"""
                import pathlib
                from django.core.management import call_command
                call_command("restore", pathlib.Path("kept/b.tar"), create_pre_backup=False, verbosity=0, {words})
                """
            )
            self.assertEqual(before, self.site.state())
        self.assertFalse((self.site.root / "backups_data" / "archives").exists(), "no pre-restore backup was wanted")

    def test_failures_have_exit_codes(self) -> None:
        (self.site.root / "media" / "out").symlink_to("/etc/hostname")
        said = self.site.script(
            RETURN_CODE
            + """
from io import StringIO
code("restore", "nothing", force=True)
code("restore", "nothing")
code("backup", form="zip")
out = StringIO()
error = code("backup", filename="p", stdout=out, stderr=StringIO())
print("is PARTIAL" in out.getvalue(), error.__cause__.report.name)
code("restore", "p", stderr=StringIO())
code("restore", "p", force=True, dry_run=True, stdout=StringIO(), stderr=StringIO())
try:
    call_command("backup", nonsense=True)
except TypeError as error:
    print(str(error).split(".")[0])
"""
        ).splitlines()
        self.assertEqual(
            [
                "10 no backup `nothing`",
                "10 no backup `nothing`",
                "2 invalid value 'zip' for '--form <FORM>' [possible values: folder, tar, tar.gz, tar.zst]",
                f"3 backup p is partial: `{self.site.root}/backups/p.tar.gz`",
                "True p",
                "13 the restore needs a yes, and there is no terminal to ask on",
                "0",
                "Unknown option(s) for backup command: nonsense",
            ],
            said,
        )

    def test_every_failure_ends_json_with_an_error(self) -> None:
        said = self.site.script(
            """
            import io, json
            from unittest import mock
            from django.core.management import call_command
            for error in (LookupError("no such thing"), KeyboardInterrupt()):
                out = io.StringIO()
                try:
                    with mock.patch("backups.project.descriptor", side_effect=error):
                        call_command("backup", format="json", stdout=out)
                except BaseException as raised:
                    assert raised is error, raised
                last = json.loads(out.getvalue().splitlines()[-1])
                print(last["event"], last["kind"], last["exit_code"], last["message"])
            """
        )
        self.assertEqual("error failed 1 LookupError: no such thing\nerror cancelled 130 cancelled\n", said)

    def test_a_closed_stream_does_not_stop_a_restore(self) -> None:
        before = self.site.state()
        self.site.ok("backup", "--quiet", "--filename", "b")
        self.site.damage()
        self.site.script(
            """
            import io
            from django.core.management import call_command
            out = io.StringIO()
            out.close()
            none = {"no_pre_backup": True, "create_pre_backup": False}
            call_command("restore", "b", force=True, stdout=out, stderr=out, **none)
            """
        )
        self.assertEqual(before, self.site.state())

    def test_the_settings_of_this_process_count(self) -> None:
        self.site.script(
            """
            from django.core.management import call_command
            from django.test import override_settings
            with override_settings(BACKUP_DIR="elsewhere"):
                call_command("backup", filename="b", verbosity=0)
            """
        )
        self.assertTrue((self.site.root / "elsewhere" / "b.tar.gz").is_file())
        self.assertEqual([], self.site.backups())

    def test_a_process_that_is_not_manage_py_finds_the_project(self) -> None:
        self.site.script(
            "from django.core.management import call_command; call_command('backup', filename='b', verbosity=0)",
            cwd="/",
            env={"PYTHONPATH": str(self.site.root)},
        )
        self.assertEqual(["b.tar.gz", "b.tar.gz.manifest.json"], self.site.backups())


class Connections(SiteTest):
    def test_refused_inside_a_transaction(self) -> None:
        self.site.ok("backup", "--quiet", "--filename", "b")
        before = self.site.state()
        said = self.site.script(
            RETURN_CODE
            + """
from django.db import connection, transaction
from books.models import Book
with transaction.atomic():
    Book.objects.update(title="inside")
    print(code("backup").__cause__.hint)
    code("restore", "b", force=True)
    import io, json
    out = io.StringIO()
    code("backup", format="json", stdout=out)
    error = json.loads(out.getvalue())
    print(error["event"], error["kind"], error["exit_code"], error["hint"][:7])
    # Refused before anything of the transaction was lost.
    print(Book.objects.filter(title="inside").exists())
    transaction.set_rollback(True)
connection.set_autocommit(False)
code("restore", "b", force=True)
connection.rollback()
connection.set_autocommit(True)
code("restore", "b", force=True, verbosity=0)
"""
        ).splitlines()
        self.assertEqual("13 the backup cannot run inside `atomic()`, which is open on database `default`", said[0])
        self.assertIn("`TransactionTestCase`", said[1])
        self.assertEqual("13 the restore cannot run inside `atomic()`, which is open on database `default`", said[2])
        self.assertEqual([said[0], "error refused 13 Call it"], said[3:5])
        self.assertEqual("True", said[5])
        self.assertEqual("13 the restore cannot run while database `default` is connected without autocommit", said[6])
        self.assertEqual("0", said[7])
        self.assertEqual(before, self.site.state())

    def test_a_persistent_connection_sees_what_was_restored(self) -> None:
        for journal in ("wal", "delete"):
            with self.subTest(journal=journal):
                said = self.site.script(
                    f"""
                    from django.conf import settings
                    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
                    from django.contrib.contenttypes.models import ContentType
                    from django.core.management import call_command
                    from django.db import connection
                    from books.models import Book
                    connection.cursor().execute("PRAGMA journal_mode = {journal}")
                    call_command("backup", filename="{journal}", verbosity=0)
                    rows = list(Book.objects.values_list("id", "title", "price"))
                    for book in Book.objects.iterator(chunk_size=1):
                        break
                    Book.objects.update(title="oops", price=0)
                    connection.cursor().execute("DROP TABLE books_note")
                    known = ContentType.objects.get_for_model(Book)
                    call_command("restore", "{journal}", force=True, verbosity=0)
                    print(connection.connection is None, ContentType.objects.get_for_model(Book) is known)
                    print(rows == list(Book.objects.values_list("id", "title", "price")))
                    print(connection.cursor().execute("SELECT count(*) > 0 FROM books_note").fetchone()[0])
                    Book.objects.update(price=7)
                    print(connection.cursor().execute("PRAGMA integrity_check").fetchone()[0])
                    """
                )
                self.assertEqual("True False\nTrue\n1\nok\n", said)

    def test_other_threads_with_open_connections_see_what_was_restored(self) -> None:
        """As under ``runserver``: the thread that restores is not the only one."""
        said = self.site.script(
            """
            import threading
            from django.core.management import call_command
            from django.db import connection
            from books.models import Book
            call_command("backup", filename="b", verbosity=0)
            count = Book.objects.count()
            opened, restored = threading.Event(), threading.Event()
            seen = []
            def reader():
                seen.append(Book.objects.count())
                opened.set()
                restored.wait()
                # The same connection, still open.
                assert connection.connection is not None
                seen.append(Book.objects.count())
                Book.objects.filter(pk=first.pk).update(title="written after")
                connection.close()
            first = Book.objects.order_by("pk").first()
            Book.objects.exclude(pk=first.pk).delete()
            thread = threading.Thread(target=reader)
            thread.start()
            opened.wait()
            call_command("restore", "b", force=True, verbosity=0)
            restored.set()
            thread.join()
            print(seen == [1, count], Book.objects.get(pk=first.pk).title)
            """
        )
        self.assertEqual("True written after\n", said)
