"""What became of the data, in few words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`good` says that nothing was lost, or that the tool said no and touched nothing."""

    text: str
    good: bool


IDENTICAL = Outcome("identical", True)


def good(text: str) -> Outcome:
    return Outcome(text, True)


def bad(text: str) -> Outcome:
    return Outcome(text, False)
