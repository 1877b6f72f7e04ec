"""One conversation with the engine, from the hello to the end of requests."""

from __future__ import annotations

import sys
from typing import Callable

from .conversation import Conversation
from .descriptor import describe
from .ending import flush, to_the_end
from .errors import HelperError, described_error
from .rows import VERBS as ROW_VERBS
from .start import enter_project, put_project_on_path
from .values import Json

PROTOCOL = 1


def main(requests: int, answers: int) -> None:
    """Hold one conversation; never returns."""

    def converse() -> None:
        conversation = Conversation(requests, answers)
        configuration = conversation.receive()
        if configuration is not None and _said_hello(conversation):
            settings_module = configuration.get("settings_module")
            enter_project(settings_module, lambda failure: _answer_requests(conversation, failure))

    to_the_end(converse)


def _said_hello(conversation: Conversation) -> bool:
    hello: Json = {
        "hello": "dalsegno-helper",
        "protocol": PROTOCOL,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": sys.executable,
        "django": None,
    }
    put_project_on_path()
    try:
        import django

        hello["django"] = django.get_version()
    except Exception as error:
        hello["reason"] = f"{type(error).__name__}: {error}"
    conversation.send(hello)
    return hello["django"] is not None


def _answer_requests(conversation: Conversation, failure: HelperError | None) -> None:
    while True:
        request = conversation.receive()
        if request is None:
            return
        answer: Json = {"id": request.get("id")}
        try:
            verb = VERBS.get(str(request.get("verb")))
            if verb is None:
                message = f"this helper knows no verb `{request.get('verb')}`"
                raise HelperError("unknown_verb", message)
            if failure is not None:
                raise failure
            answer["ok"] = verb(request)
        except BaseException as error:
            answer["error"] = described_error(error)
            flush()
        conversation.send(answer)


VERBS: dict[str, Callable[[Json], Json]] = {"describe": describe, **ROW_VERBS}
