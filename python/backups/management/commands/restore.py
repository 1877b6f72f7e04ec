from __future__ import annotations

import argparse
import os
from typing import Any

from backups.door import Door
from dalsegno.options import RESTORE


class Command(Door):
    help = "Restore a backup: staged beside the live data, checked, switched in at once."
    verb = "restore"
    table = RESTORE
    replaces_data = True
    # Other words for `force` in call_command; Django's own commands say `interactive=False`.
    stealth_options = ("interactive", "no_input", "noinput")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "source",
            metavar="ID|PATH",
            help="id, unique prefix of an id, name, `latest`, or the path of an archive or folder",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options.get("no_input") or options.get("noinput") or options.get("interactive") is False:
            options["force"] = True
        self.ask_engine(options, ["--", os.fspath(options["source"])])
