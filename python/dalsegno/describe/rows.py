"""The verbs about rows, and the one dump or load that a helper has open between two questions."""

from __future__ import annotations

from typing import Any, Callable

from .dump import Dump, count
from .errors import HelperError
from .load import Load, restored
from .values import Json


class Work:
    """What is open: a dump, a load or nothing."""

    def __init__(self) -> None:
        self._open: Any = None

    def dump(self, request: Json) -> Json:
        self._refuse_second()
        self._open = dump = Dump(str(request["alias"]), request.get("without_rows", []))
        return self._safely(dump.described)

    def dump_rows(self, request: Json) -> Json:
        return self._safely(self._opened(Dump).rows)

    def dump_values(self, request: Json) -> Json:
        dump = self._opened(Dump)
        return self._safely(lambda: dump.values(str(request["table"]), str(request["column"])))

    def load(self, request: Json) -> Json:
        self._refuse_second()
        self._open = Load(request)
        return {}

    def load_rows(self, request: Json) -> Json:
        load = self._opened(Load)
        return self._safely(lambda: load.rows(request["texts"]))

    def load_end(self, request: Json) -> Json:
        load = self._opened(Load)
        return self._safely(lambda: load.end(request["counts"]), over=True)

    def _safely(self, step: Callable[[], Json | None], over: bool = False) -> Json:
        """A step that fails ends what is open; ``over``: it is the last one anyway."""
        try:
            answer = step() or {}
        except BaseException:
            broken, self._open = self._open, None
            if isinstance(broken, Load):
                broken.abandon()
            else:
                broken.close()
            raise
        if over:
            self._open = None
        return answer

    def _opened(self, kind: Any) -> Any:
        if not isinstance(self._open, kind):
            raise HelperError("order", f"no {kind.__name__.lower()} is open")
        return self._open

    def _refuse_second(self) -> None:
        if self._open is not None:
            raise HelperError("order", "a dump or load is open already")


_WORK = Work()

VERBS: dict[str, Callable[[Json], Json]] = {
    "count": count,
    "restored": restored,
    "dump": _WORK.dump,
    "dump_rows": _WORK.dump_rows,
    "dump_values": _WORK.dump_values,
    "load": _WORK.load,
    "load_rows": _WORK.load_rows,
    "load_end": _WORK.load_end,
}
