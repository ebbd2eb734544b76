"""Articles in files: JSON lines, bare texts with a date in front, folders of both.

* ``*.jsonl``, ``*.jsonl.gz`` and ``-`` (standard input): a JSON object a line, as in ``record.md``.
* ``NAME.txt``: one article as bare text. It may begin with `` date YYYY-MM-DD ``; the body is what
  follows, untouched, so that offsets count in the file's own text. ``NAME.json`` or ``NAME.toml``
  beside it gives any other field (title, source, ...) and goes over what the text says.
* a folder: all such files in it and below, in sorted order.

Nothing here knows of Kafka, and what cannot be read is a value, not an exception: one bad line does
not end a replay.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
import tomllib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any, Final
from zoneinfo import ZoneInfo

from pipeline.errors import BadInput, InvalidArticle, NotDecodable
from pipeline.stages import decode

STAGE: Final = "replay"
STANDARD_INPUT: Final = Path("-")

_JSON_LINES: Final = (".jsonl", ".jsonl.gz")
_TEXT: Final = ".txt"
_SIDE_CARS: Final = (".json", ".toml")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DATE_LINE: Final = re.compile(r"\s?date (\d{4}-\d{2}-\d{2})(?:[ \t]|\r?\n)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """When a bare text that states only its day was published.

    Attributes:
        time: local time of day. Noon, so that the day is the same one in every zone of Europe.
        zone: time zone; the offset (+01:00 or +02:00) follows from the day.
    """

    time: time = time(12)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Tirane"))


@dataclass(frozen=True, slots=True)
class Found:
    """One article as it stands in a file.

    Attributes:
        where: ``file:line``, or the file of a bare text.
        content: the fields of the article, not validated yet, or why there are none.
    """

    where: str
    content: dict[str, Any] | BadInput


@dataclass(frozen=True, slots=True)
class Files:
    """What lies at some paths.

    Attributes:
        articles: files with articles, in the order to read them.
        ignored: how many other files the folders have.
    """

    articles: tuple[Path, ...]
    ignored: int


def find(paths: Iterable[Path]) -> Files:
    """The files with articles at the paths.

    Raises:
        ValueError: a path that is not a folder is of no type that can be read.
    """
    articles: list[Path] = []
    ignored = 0
    for path in paths:
        if path == STANDARD_INPUT or _is_readable(path):
            articles.append(path)
        elif path.is_dir():
            inside = list(_walk(path))
            readable = [file for file in inside if _is_readable(file)]
            articles.extend(readable)
            ignored += sum(not _is_readable(file) and not _is_side_car(file) for file in inside)
        else:
            raise ValueError(f"{path} is no folder and none of .jsonl, .jsonl.gz and .txt")
    return Files(tuple(articles), ignored)


def read(
    files: Iterable[Path], *, clock: Clock | None = None, limits: decode.Limits | None = None
) -> Iterator[Found]:
    """The articles in the files, one by one."""
    clock = clock or Clock()
    limits = limits or decode.Limits()
    for path in files:
        if path.name.endswith(_TEXT):
            yield Found(str(path), _text_article(path, clock))
        else:
            yield from _json_lines(path, limits)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _is_readable(path: Path) -> bool:
    return path.name.endswith((*_JSON_LINES, _TEXT)) and not path.is_dir()


def _is_side_car(path: Path) -> bool:
    return path.suffix in _SIDE_CARS and path.with_suffix(_TEXT).exists()


def _json_lines(path: Path, limits: decode.Limits) -> Iterator[Found]:
    number = 0
    try:
        with _open(path) as file:
            # A line without an end must not fill the memory.
            while line := file.readline(limits.max_message_bytes + 1):
                number += 1
                if len(line) > limits.max_message_bytes:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(limits.max_message_bytes)
                    detail = f"The line is longer than {limits.max_message_bytes} bytes."
                    error = NotDecodable("message-too-large", detail, stage=STAGE)
                    yield Found(f"{path}:{number}", error)
                elif line := line.removeprefix(_BYTE_ORDER_MARK).strip():
                    yield Found(f"{path}:{number}", _fields(line))
    except (OSError, EOFError, zlib.error) as error:
        yield Found(f"{path}:{number + 1}", _unreadable(error))


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    if path == STANDARD_INPUT:
        # Not sys.stdin.buffer: a thread that waits in it would keep the process from ending.
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _fields(line: bytes) -> dict[str, Any] | BadInput:
    try:
        return decode.parse(line)
    except BadInput as error:
        return error


def _text_article(path: Path, clock: Clock) -> dict[str, Any] | BadInput:
    try:
        text = path.read_bytes().removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
        fields: dict[str, Any] = {"id": path.stem, "title": "", "body": text}
        if found := _DATE_LINE.match(text):
            moment = datetime.combine(
                date.fromisoformat(found.group(1)), clock.time, tzinfo=clock.zone
            )
            fields |= {"body": text[found.end() :], "published_at": moment.isoformat()}
        return fields | _side_car(path)
    except UnicodeDecodeError as error:
        return NotDecodable("not-utf-8", f"Byte {error.start} is not UTF-8.", stage=STAGE)
    except ValueError as error:
        return InvalidArticle("invalid-date", f"{error}.", stage=STAGE)
    except OSError as error:
        return _unreadable(error)
    except BadInput as error:
        return error


def _side_car(text: Path) -> dict[str, Any]:
    """The fields in the side-car of a bare text; none without one.

    Raises:
        NotDecodable: the side-car cannot be parsed.
        OSError: it cannot be read.
    """
    for suffix in _SIDE_CARS:
        path = text.with_suffix(suffix)
        if not path.exists():
            continue
        content = path.read_bytes()
        if suffix == ".json":
            return decode.parse(content)
        try:
            fields = tomllib.loads(content.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            detail = f"{path.name} is not TOML: {error}."
            raise NotDecodable("not-toml", detail, stage=STAGE) from error
        # TOML has dates of its own; record.md has strings.
        return {
            name: value.isoformat() if isinstance(value, date | datetime) else value
            for name, value in fields.items()
        }
    return {}


def _unreadable(error: Exception) -> NotDecodable:
    return NotDecodable("unreadable", f"The file cannot be read: {error}.", stage=STAGE)
