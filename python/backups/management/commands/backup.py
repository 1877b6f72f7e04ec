from __future__ import annotations

from typing import Any

from backups.door import Door
from dalsegno.options import BACKUP


class Command(Door):
    help = "Back up databases and media into one archive or folder."
    verb = "backup"
    table = BACKUP

    def handle(self, *args: Any, **options: Any) -> None:
        self.ask_engine(options)
