"""Dead letters: headers, listing, showing, replaying."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from pipeline import settings as settings_module
from pipeline.cli import cli
from pipeline.errors import InvalidArticle, TopicMismatch
from pipeline.settings import Settings
from pipeline.streaming import dead_letters, topics
from tests.wire.helpers import read_all, write

_DECOMPOSED = orjson.dumps(
    {
        "id": "d1",
        "title": "Ke\u0308shilli",
        "body": "Ambasadori u takua me kryeministrin.",
        "published_at": "2025-09-03T10:00:00+02:00",
    }
)
_HOSTILE = b"\x1b]0;pwned\x07 [red]not markup[/red] \xff"


def _headers(reason: str, offset: int, detail: str = "Pse.") -> list[tuple[str, bytes]]:
    error = InvalidArticle(reason, detail, stage="decode")
    return dead_letters.headers(error, topic="articles.raw", partition=2, offset=offset, attempts=1)


def _fill(settings: Settings) -> None:
    async def fill() -> None:
        await topics.create(settings)
        letters: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]] = [
            (b"d1", _DECOMPOSED, _headers("decomposed-unicode", 5)),
            (None, _HOSTILE, _headers("not-utf-8", 6, "Bajti \x1b[31m s'është UTF-8.")),
            (b"k", None, _headers("empty-message", 7)),
        ]
        await write(settings, settings.topics.dead_letter, letters)

    asyncio.run(fill())


def _run(settings: Settings, *arguments: str) -> Result:
    environ = settings_module.environment(settings)
    return CliRunner().invoke(cli, ["dead-letters", *arguments], env=environ)


def _raw(settings: Settings) -> list[Any]:
    return asyncio.run(read_all(settings, settings.topics.raw))


def test_headers_are_those_of_the_record() -> None:
    """Every header of record.md, in UTF-8 and bounded, whatever the detail holds."""
    found = dict(_headers("no-text", 9, "ë" * 5000))
    assert found["source-topic"] == b"articles.raw"
    assert (found["source-partition"], found["source-offset"]) == (b"2", b"9")
    assert (found["reason"], found["stage"], found["attempts"]) == (b"no-text", b"decode", b"1")
    assert found["detail"].decode() == "ë" * dead_letters.MAX_DETAIL_CHARS
    assert dict(_headers("x", 1, "\ud800"))["detail"] == b"\\ud800"


def test_list(settings: Settings) -> None:
    """The list has ids, reasons and origins, obeys its filters, and passes no escape sequence."""
    _fill(settings)
    lines = [orjson.loads(line) for line in _run(settings, "list", "--json").stdout.splitlines()]
    assert [(row["id"], row["reason"], row["article"]) for row in lines] == [
        ("0-0", "decomposed-unicode", "d1"),
        ("0-1", "not-utf-8", ""),
        ("0-2", "empty-message", ""),
    ]
    assert lines[0]["source_topic"] == "articles.raw"
    table = _run(settings, "list", "--since", "1h")
    assert "0-2" in table.stdout
    assert "\x1b" not in table.stdout
    only = _run(settings, "list", "--reason", "not-utf-8", "--json").stdout.splitlines()
    assert len(only) == 1
    later = _run(settings, "list", "--since", "2999-01-01T00:00:00Z", "--json")
    assert (later.exit_code, later.stdout) == (0, "")
    assert _run(settings, "list", "--since", "dje").exit_code == 2


def test_show(settings: Settings) -> None:
    """``show`` escapes hostile bytes and interprets no markup; ``--raw`` gives them untouched."""
    _fill(settings)
    shown = _run(settings, "show", "0-1").stdout
    assert "\\x1b]0;pwned\\x07 [red]not markup[/red] \\xff" in shown
    assert "\x1b" not in shown
    assert _run(settings, "show", "--raw", "0-1").stdout_bytes == _HOSTILE
    pretty = _run(settings, "show", "0-0").stdout
    assert '"body": "Ambasadori' in pretty
    for missing in ("0-99", "77-0", "nonsense"):
        assert _run(settings, "show", missing).exit_code == 2


def test_replay(settings: Settings) -> None:
    """A replay repeats key and bytes, names the origin, repairs on request and deletes nothing."""
    _fill(settings)
    assert _run(settings, "replay", "--all", "--dry-run").exit_code == 0
    assert _raw(settings) == []
    assert _run(settings, "replay", "0-1", "0-2").exit_code == 0
    assert _run(settings, "replay", "--reason", "decomposed-unicode", "--normalise").exit_code == 0
    found = {m.headers[0][1].rpartition(b"/")[2]: m for m in _raw(settings)}
    name = settings.topics.dead_letter.name
    assert found[b"1"].headers == (("replayed-from", f"{name}/0/1".encode()),)
    assert (found[b"1"].key, found[b"1"].value) == (None, _HOSTILE)
    assert (found[b"2"].key, found[b"2"].value) == (b"k", None)
    assert orjson.loads(found[b"0"].value)["title"] == "Këshilli"
    beyond = _run(settings, "replay", "--all", "--normalise")
    assert beyond.exit_code == 1
    assert "2 beyond repair" in beyond.stderr
    assert len(_run(settings, "list", "--json").stdout.splitlines()) == 3


@pytest.mark.parametrize("arguments", [(), ("--all", "0-1"), ("--all", "--reason", "x")])
def test_replay_wants_one_choice(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Nothing is replayed by accident: ids, a reason or all, exactly one of them."""
    assert _run(settings, "replay", *arguments).exit_code == 2


def test_missing_topic_is_an_error(settings: Settings) -> None:
    """Without the topic the command says what to run."""
    assert isinstance(_run(settings, "list").exception, TopicMismatch)
