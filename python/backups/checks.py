"""System checks. What settings there are, and which values they take, is asked of the engine.

An error keeps ``migrate`` and ``runserver`` from starting, so only what is wrong with the project is
one. A program that is missing, of another version or out of order is a warning.
"""

from __future__ import annotations

from typing import Any, Sequence

from django.apps import apps
from django.core import checks
from django.core.management import get_commands

from backups import project
from dalsegno import describe
from dalsegno.client import Client
from dalsegno.errors import BackupError, BinaryNotFoundError, UsageError

COMMANDS = ("backup", "restore")
#: Seconds that the program may take to answer. It holds up every command that checks first.
PATIENCE = 10.0


@checks.register("backups")
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """The ``BACKUP_*`` settings."""
    if not _concerns_us(app_configs):
        return []
    try:
        report = Client(descriptor=project.settings_descriptor()).run("describe", seconds=PATIENCE)
        return [_unknown(setting) for setting in report["settings"]["unknown"]]
    except BinaryNotFoundError as error:
        return [checks.Warning(error.message, hint=error.hint, id="backups.W003")]
    except BackupError as error:
        if isinstance(error, UsageError) and error.message.startswith("BACKUP_"):
            return [checks.Error(error.message, hint=error.hint, id="backups.E002")]
        return [_unchecked(error.message, error.hint)]
    except (KeyError, TypeError) as error:
        return [_unchecked(f"the program's answer is not understood ({error!r})", None)]


def _unchecked(why: str, hint: str | None) -> checks.CheckMessage:
    return checks.Warning(
        f"the settings cannot be checked: {why}",
        hint=hint or "Install the program and this package in the same version; `dalsegno --version` tells the one.",
        id="backups.W004",
    )


def _unknown(setting: dict[str, Any]) -> checks.CheckMessage:
    name, nearest = setting["name"], setting["nearest"]
    if setting["origin"] == "environment":
        return checks.Warning(
            f"`{name}` in the environment is no setting of Dalsegno.",
            hint=f"Did you mean `{nearest}`?" if nearest else "If it belongs to another program, silence this.",
            id="backups.W001",
        )
    return checks.Error(
        f"`{name}` is no setting of Dalsegno.",
        hint=f"Did you mean `{nearest}`?" if nearest else "Remove it; docs/settings.md lists the names.",
        id="backups.E001",
    )


@checks.register("backups")
def check_names(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Whether our names are ours."""
    if not _concerns_us(app_configs):
        return []
    messages: list[checks.CheckMessage] = []
    theirs = describe.own_backups_app(apps)
    if theirs is not None:
        messages.append(
            checks.Error(
                f"The project has an app of its own labelled `backups` ({theirs}).",
                hint="Rename that app, or take ours out of INSTALLED_APPS and use the program `dalsegno`.",
                id="backups.E005",
            )
        )
    ours = {config.name for config in apps.get_app_configs() if getattr(config, "is_dalsegno", False)}
    for command in COMMANDS:
        owner = get_commands().get(command)
        if isinstance(owner, str) and owner not in ours:
            messages.append(
                checks.Warning(
                    f"`manage.py {command}` is the command of app `{owner}`, not Dalsegno's.",
                    hint=f"Put `backups` before `{owner}` in INSTALLED_APPS, or use the program `dalsegno`.",
                    id="backups.W002",
                )
            )
    return messages


def _concerns_us(app_configs: Sequence[Any] | None) -> bool:
    return app_configs is None or any(getattr(config, "is_dalsegno", False) for config in app_configs)
