"""Medians, ratios, and the two files that a run leaves: JSON for programs, Markdown for people."""

import json
from pathlib import Path
from statistics import median
from typing import Any

from measuring.cases import Line

Runs = dict[str, list[dict[str, Any]]]
VERDICTS = {True: "met", False: "**missed**", None: "not asked"}
COLUMNS = ["wall", "cpu", "memory", "bytes", "startup", "engine"]


def summary(runs: Runs, lines: list[Line], scale: float) -> dict[str, Any]:
    """The medians of each case and the ratios of each line.  Targets are for scale 1 and more: below, starts weigh."""
    medians = {name: {key: middle(costs, key) for key in COLUMNS} for name, costs in runs.items()}
    found = [ratios(line, runs, medians) for line in lines]
    if scale < 1:
        found = [{**line, "met": None if line["peer"] else line["met"]} for line in found]
    return {"medians": medians, "lines": found}


def middle(costs: list[dict[str, Any]], key: str) -> Any:
    values = [cost[key] for cost in costs if cost[key] is not None]
    return median(values) if values else None


def ratios(line: Line, runs: Runs, medians: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`wall` is the ratio of the medians, which is held to the target; `paired` the median of the ratios of the rounds.

    `engine` is the ratio without the start of the site's Python, where ours tells it.
    """
    ours = medians[line.ours]
    found: dict[str, Any] = {"name": line.name, "ours": line.ours, "peer": line.peer, "target": line.wall}
    if line.peer is None:
        return {**found, "wall": ours["wall"], "engine": ours["engine"], "met": ours["wall"] <= line.wall}
    peer = medians[line.peer]
    pairs = zip(runs[line.ours], runs[line.peer], strict=True)
    found |= {
        "wall": round(ours["wall"] / peer["wall"], 3),
        "paired": round(median(a["wall"] / b["wall"] for a, b in pairs), 3),
        "engine": round(ours["engine"] / peer["wall"], 3) if ours["engine"] is not None else None,
        "cpu": round(ours["cpu"] / max(peer["cpu"], 1e-4), 3),
        "bytes": round(ours["bytes"] / peer["bytes"], 4),
        "bytes_target": line.size,
    }
    small_enough = line.size is None or found["bytes"] <= line.size
    return {**found, "met": found["wall"] <= line.wall and small_enough}


def write(folder: Path, name: str, report: dict[str, Any]) -> list[Path]:
    """The two files, which replace those of the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    text.write_text(markdown(report))
    return [data, text]


def markdown(report: dict[str, Any]) -> str:
    return "\n".join([*heading(report), *line_table(report["lines"]), "", *case_table(report), ""])


def heading(report: dict[str, Any]) -> list[str]:
    machine, data = report["machine"], report["data"]
    versions = [f"{name} {machine[name]}" for name in ("Python", "Django", "django-dbbackup")]
    return [
        f"# Measured on {report['date']}",
        "",
        f"{machine['dalsegno']}; {report['rounds']} rounds after one that does not count, scale {report['scale']:g}.",
        f"{machine['processors']} processors, {machine['processor']}, {machine['memory_bytes'] / 2**30:.0f} GiB,"
        f" {machine['system']}, {machine['file_system']}.",
        f"Load when it began: {report['load']:.2f}, without it: figures of a busy machine are only a hint."
        if report["load"] > 0.5
        else "The machine was idle.",
        "; ".join([*versions, *(machine[name] for name in ("tar", "pigz", "zstd"))])
        + f"; sqlite3 {machine['sqlite3'].split()[0]}.",
        f"Media: {data['media_files']:,} files, {data['media_bytes'] / 1e6:,.1f} MB. Database:"
        f" {data['database_rows']:,} rows, {data['database_bytes'] / 1e6:,.1f} MB.",
        "",
    ]


def line_table(lines: list[dict[str, Any]]) -> list[str]:
    """Ours over the peer's."""
    table = [
        "| ours / peer | wall | target | | paired | without start-up | CPU | bytes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        size = number(line.get("bytes"), 3)
        if line.get("bytes_target"):
            size += f" (≤ {line['bytes_target']})"
        table.append(
            f"| {escaped(line['name'])} | {line['wall']:.2f} | {line['target']} | {VERDICTS[line['met']]}"
            f" | {number(line.get('paired'))} | {number(line.get('engine'))} | {number(line.get('cpu'))} | {size} |"
        )
    return table


def case_table(report: dict[str, Any]) -> list[str]:
    """Medians, and the range of wall seconds."""
    table = [
        "| case | wall s | least to most | CPU s | start-up s | peak MiB | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    floor = report["machine"]["memory_floor_bytes"]
    for name, costs in report["runs"].items():
        walls = [cost["wall"] for cost in costs]
        middles = report["medians"][name]
        memory = f"{middles['memory'] / 2**20:.0f}"
        table.append(
            f"| {escaped(name)} | {middles['wall']:.2f} | {min(walls):.2f} to {max(walls):.2f} | {middles['cpu']:.2f}"
            f" | {number(middles['startup'])} | {'≤ ' if middles['memory'] <= floor * 1.1 else ''}{memory}"
            f" | {middles['bytes'] / 1e6:,.1f} |"
        )
    return table


def number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def escaped(text: str) -> str:
    return text.replace("|", "\\|")
