"""On what it was measured, without saying whose machine it is."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from measuring.cases import Tools
from measuring.command import measure, run

VERSIONS = {
    "tar": ["tar", "--version"],
    "cp, sync": ["cp", "--version"],
    "pigz": ["pigz", "--version"],
    "zstd": ["zstd", "--version"],
    "sqlite3": ["sqlite3", "--version"],
}


def machine(tools: Tools, folder: Path) -> dict[str, str | int]:
    """Processor, memory, kernel, file system and versions."""
    found: dict[str, str | int] = {
        "processor": processor(),
        "processors": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "file_system": run(["stat", "--file-system", "--format=%T", folder]).strip(),
        "Python": platform.python_version(),
        "Django": version("django"),
        "django-dbbackup": version("django-dbbackup"),
        "dalsegno": run([tools.dalsegno, "--version"]).strip(),
    }
    for name, command in VERSIONS.items():
        found[name] = run([*command]).splitlines()[0].strip()
    # A process inherits the mark of the one that started it: less cannot be told apart.
    found["memory_floor_bytes"] = measure("true", {}, Path(os.devnull)).memory
    return found


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or sys.platform
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
