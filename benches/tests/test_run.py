"""`make bench` in small: it measures, proves what was restored, and does not take a wrong copy for a right one."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import media
import run
from measuring import command, report
from measuring.cases import LINES, Case, Line, Tools, cases
from measuring.command import CommandFailed, measure, reported
from measuring.data import BENCHES, Data
from measuring.proof import NotEqual, prove_files, require_same_contents, require_same_files
from measuring.rounds import Work, run_round

DALSEGNO = Path(os.environ.get("DALSEGNO", BENCHES.parent / "target" / "debug" / "dalsegno"))
NOTHING = {"cpu": 1.0, "memory": 1, "startup": None, "engine": None}


def costs(*walls: float, size: int = 100, engine: float | None = None) -> list[dict[str, float | int | None]]:
    return [{**NOTHING, "wall": wall, "bytes": size, "engine": engine} for wall in walls]


class Temporary(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="dalsegno-bench-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class SmallRun(Temporary):
    def test_some_lines_are_measured_and_their_copies_proven(self) -> None:
        arguments = ["--dalsegno", str(DALSEGNO), "--rounds=1", "--scale=0.001", "--name=test"]
        arguments += ["--only=restore of media", "--only=journal mode, folder", "--only=seconds"]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exit_code = run.main([*arguments, f"--data={self.folder}/data", f"--results={self.folder}/results"])
        self.assertEqual(exit_code, 0, said.getvalue())
        (data,) = (self.folder / "results").glob("*-test.json")
        found = json.loads(data.read_text())
        self.assertEqual(
            set(found["runs"]), {"restore media", "tar x", "delete folder", "delete .backup", "small site"}
        )
        self.assertTrue(all(len(each) == 1 and each[0]["wall"] > 0 for each in found["runs"].values()))
        self.assertEqual(found["runs"]["restore media"][0]["bytes"], found["data"]["media_bytes"])
        self.assertGreater(found["runs"]["delete folder"][0]["startup"], 0)
        self.assertNotIn(str(self.folder), data.read_text(), "the results tell where they were taken")
        self.assertEqual(len(found["lines"]), 3)
        self.assertIn("| restore of media / tar x |", data.with_suffix(".md").read_text())
        self.assertFalse((self.folder / "data" / "work").exists(), "the work was not removed")
        self.assertFalse((self.folder / "data" / "work-aside").exists(), "the old trees were not removed")


class Proofs(Temporary):
    def test_a_restored_tree_with_one_wrong_byte_or_time_is_noticed(self) -> None:
        original, copy = self.folder / "original", self.folder / "copy"
        media.make(str(original), 0.0005)
        prove_files(original, self.folder / "proof")
        subprocess.run(["cp", "-a", original, copy], check=True)
        require_same_files(copy, self.folder / "proof")
        file = copy / "lists" / "all of 2024.csv"
        os.utime(file, (1, 1))
        require_same_contents(copy, self.folder / "proof")
        with self.assertRaises(NotEqual):
            require_same_files(copy, self.folder / "proof")
        file.write_bytes(file.read_bytes()[:-1] + b"!")
        with self.assertRaises(NotEqual):
            require_same_contents(copy, self.folder / "proof")

    def test_a_case_whose_proof_fails_ends_the_run(self) -> None:
        def wrong(out: Path) -> None:
            raise NotEqual(str(out))

        work = Work(self.folder / "work")
        for case in [Case("each round", "true", proof=wrong), Case("first round", "true", proof_once=wrong)]:
            with self.subTest(case.name), contextlib.redirect_stdout(io.StringIO()), self.assertRaises(NotEqual):
                run_round(0, [case], {}, work, self.folder / "log")


class Rounds(Temporary):
    def test_every_other_round_goes_backwards_and_trees_stay_until_the_end(self) -> None:
        work, log = Work(self.folder / "work"), self.folder / "log"
        line = f'mkdir "$OUT/tree"; echo "$NAME" >>"{self.folder}/order"; head -c 3000 /dev/zero >"$OUT/tree/file"'
        found = [Case(name, line, {"NAME": name}, many_files=name == "b") for name in "ab"]
        with contextlib.redirect_stdout(io.StringIO()):
            costs = [run_round(number, found, {}, work, log) for number in range(3)]
        self.assertEqual((self.folder / "order").read_text().split(), ["a", "b", "b", "a", "a", "b"])
        self.assertEqual(costs[2]["a"]["bytes"], 3000)
        # Both of round 0, and the trees of b.
        self.assertEqual(len(list(work.aside.iterdir())), 4)
        self.assertEqual(list(work.root.iterdir()), [])
        again = Work(self.folder / "work")
        again.remove()
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"order", "log"})

    def test_a_line_that_fails_anywhere_in_its_pipe_is_an_error(self) -> None:
        with self.assertRaisesRegex(CommandFailed, "exit code 3: .*\n.*what it said"):
            measure("{ echo what it said >&2; exit 3; } | cat", {}, self.folder / "log")

    def test_what_reports_tell_of_their_time_is_added_up(self) -> None:
        text = 'x\n{"event":"report","startup_seconds":1.5,"engine_seconds":2}\n{"event":"stage"}\n'
        self.assertEqual(reported(text * 2), (3.0, 4.0))
        self.assertEqual(reported("nothing"), (None, None))


class Reports(unittest.TestCase):
    def test_ratios_are_of_medians_and_targets_of_time_and_size_are_both_asked(self) -> None:
        runs = {"ours": costs(1, 2, 9, engine=1.0), "peer": costs(4, 5, 6, size=90)}
        for wall, size, met in [(0.4, None, True), (0.39, None, False), (0.4, 1.2, True), (0.4, 1.1, False)]:
            (line,) = report.summary(runs, [Line("x", "ours", "peer", wall, size)], 1.0)["lines"]
            self.assertEqual((line["wall"], line["paired"], line["engine"]), (0.4, 0.4, 0.2))
            self.assertEqual(line["bytes"], round(100 / 90, 4))
            self.assertIs(line["met"], met)

    def test_small_data_say_nothing_of_targets(self) -> None:
        runs = {"ours": costs(9), "peer": costs(1)}
        (line,) = report.summary(runs, [Line("x", "ours", "peer", 0.1)], 0.5)["lines"]
        self.assertIsNone(line["met"])

    def test_every_line_has_its_cases(self) -> None:
        tools = Tools(DALSEGNO, Path(sys.executable), "native")
        names = [case.name for case in cases(Data(Path("/nowhere"), {}), tools, Path("/nowhere/archives"))]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(set(names), {name for line in LINES for name in (line.ours, line.peer) if name})


READ_BACK = """
from django.apps import apps
from trade.models import Happening, Order
rows = [row for model in apps.get_models() for row in model.objects.all()]
for row in rows:
    if row._meta.app_label == "trade":
        row.clean_fields({each.name for each in row._meta.fields if not getattr(row, each.attname)})
print(len(rows), {each.pk.version for each in Happening.objects.all()}, Order.objects.get(pk=6).packing.days >= 0)
"""


class Generators(Temporary):
    def test_the_rows_of_the_shop_are_such_as_its_models_would_have_written(self) -> None:
        environment = {"DATABASE_PATH": str(self.folder / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"}

        def manage(*arguments: str) -> str:
            return command.run([sys.executable, BENCHES / "sites" / "bazaar" / "manage.py", *arguments], environment)

        manage("migrate", "--verbosity=0")
        self.assertRegex(manage("fill", "--rows=900", "--journal=wal"), "journal mode wal")
        count, rest = manage("shell", "--command", READ_BACK).splitlines()[-1].split(" ", 1)
        self.assertGreater(int(count), 900)
        self.assertEqual(rest, "{4} True")

    def test_the_media_are_the_same_every_time(self) -> None:
        proofs = []
        for name in ("first", "second"):
            tree = media.make(str(self.folder / name), 0.0005, odd=True)
            prove_files(self.folder / name, self.folder / f"{name}.proof")
            proofs.append((self.folder / f"{name}.proof").read_bytes())
            files = [path for path in (self.folder / name).rglob("*") if path.is_file() and not path.is_symlink()]
            self.assertEqual(len(files), tree.files)
        self.assertEqual(proofs[0], proofs[1])
        self.assertTrue((self.folder / "first" / "odd" / "link-to-nothing").is_symlink())


if __name__ == "__main__":
    unittest.main()
