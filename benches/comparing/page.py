"""The tables of docs/compare.md: between two marks each, written by `make compare WRITE=1` and else compared with."""

import re
from dataclasses import dataclass

from comparing.outcome import Outcome

# By row and tool.
Cells = dict[tuple[str, str], str]
NOT_ASKED = "–"


class NoTable(Exception):
    """The page has no place for a table of this name."""


@dataclass(frozen=True)
class Table:
    name: str
    rows: list[str]
    tools: list[str]

    def written(self, cells: Cells) -> str:
        lines = [["", *self.tools], ["---"] * (len(self.tools) + 1)]
        lines += [[row, *(cells.get((row, tool), NOT_ASKED) for tool in self.tools)] for row in self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(outcome: Outcome | None) -> str:
    """What is lost is bold."""
    if outcome is None:
        return NOT_ASKED
    return outcome.text if outcome.good else f"**{outcome.text}**"


def place(name: str, page: str) -> re.Match[str]:
    found = re.search(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(\n<!-- end of {name} -->)", page, re.DOTALL)
    if not found:
        raise NoTable(f"the page has no marks `<!-- {name}: … -->` and `<!-- end of {name} -->`")
    return found


def replaced(name: str, page: str, table: str) -> str:
    found = place(name, page)
    return page[: found.start(2)] + table + page[found.end(2) :]


def read(name: str, page: str) -> Cells:
    """The cells that the page tells."""
    lines = [
        [column.strip() for column in line.strip("|").split("|")] for line in place(name, page).group(2).splitlines()
    ]
    if len(lines) < 3:
        return {}
    tools = lines[0][1:]
    return {(line[0], tool): text for line in lines[2:] for tool, text in zip(tools, line[1:], strict=True)}
