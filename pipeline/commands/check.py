"""``kasnec check``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline import languages
from pipeline import settings as settings_module
from pipeline.errors import ConfigurationError, KasnecError, ModelError
from pipeline.terminal import plain

if TYPE_CHECKING:
    from pipeline.settings import Settings

_NO_BROKER: Final = (
    "No broker is configured: `kasnec up` starts one of its own. For your Kafka set "
    "KASNEC_BROKER_BOOTSTRAP_SERVERS."
)


@click.command()
@click.option("--offline", is_flag=True, help="Do not connect to the broker.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(ctx: click.Context, *, offline: bool, as_json: bool) -> None:
    """Print the settings in force, without secrets, and everything that is wrong.

    Exit status: 0 all is well, 1 the broker, the topics or the models are not, 2 the settings are
    wrong.
    """
    settings: Settings | None = None
    notes: list[str] = []
    try:
        settings = ctx.obj()
    except ConfigurationError as error:
        problems = list(error.problems)
        status = 2
        enabled = tuple(languages.available())
    else:
        problems, notes = ([], []) if offline else _broker(settings)
        status = 1
        enabled = settings.language.enabled
    problems += _models(enabled)
    if as_json:
        report = {
            "settings": settings and settings_module.describe(settings),
            "notes": notes,
            "problems": problems,
        }
        click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    else:
        _print(settings, notes, problems)
    sys.exit(status if problems else 0)


def _broker(settings: Settings) -> tuple[list[str], list[str]]:
    """What is wrong with broker and topics, and what is only worth knowing."""
    from pipeline.streaming import broker, client, topics  # noqa: PLC0415 - loads aiokafka

    try:
        if settings.broker.bootstrap_servers:
            client.ssl_context(settings.broker)
        elif broker.running(settings.embedded) is None:
            return [], [_NO_BROKER]
        states = asyncio.run(topics.inspect(settings))
    except ConfigurationError as error:
        return list(error.problems), []
    except KasnecError as error:
        return [str(error)], []
    faults = [fault for state in states for fault in state.faults]
    return faults, [difference for state in states for difference in state.differences]


def _models(codes: tuple[str, ...]) -> list[str]:
    return [problem for code in codes for problem in _model_problems(code)]


def _model_problems(code: str) -> Iterator[str]:
    try:
        pack = languages.load(code)
    except ModelError as error:
        yield f"language {code}: {error}. Available: {', '.join(languages.available())}"
        return
    for name in sorted(pack.checksums):
        try:
            pack.model_file(name)
        except ModelError as error:
            yield f"language {code}: {error}"


def _print(settings: Settings | None, notes: list[str], problems: list[str]) -> None:
    console = Console()
    if settings is not None:
        table = Table("setting", "value")
        for name, value in _flat(settings_module.describe(settings)):
            table.add_row(name, Text(plain(_shown(value)), overflow="fold"))
        console.print(table)
    for note in notes:
        console.print(Text(f"note: {plain(note, keep_lines=True)}"))
    for problem in problems:
        console.print(Text(f"wrong: {plain(problem, keep_lines=True)}"), style="red")
    if not problems:
        console.print(Text("Nothing is wrong."))


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
