"""Bytes of the topic ``articles.raw`` to a valid ``RawArticle``, or a reason for the dead letter.

The rules are those of ``record.md``. Text must be NFC and free of control characters: an article in
decomposed Unicode has other offsets than the same article composed, so it is set aside with a
reason and can be repaired and replayed (``kasnec dead-letters replay --normalise``).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from pipeline.errors import InvalidArticle, NotDecodable
from pipeline.records import RawArticle

STAGE: Final = "decode"
MAX_ID_CHARS: Final = 200  # record.md

# Everything of Unicode's category Cc but the white space that news text has.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# RFC 3339 with an offset; datetime.fromisoformat alone also takes dates without time or zone.
_RFC_3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an article may be.

    Attributes:
        max_text_chars: of title and body together, in code points.
        max_message_bytes: of the message; checked before anything is parsed.
    """

    max_text_chars: int = 200_000
    max_message_bytes: int = 4_194_304


def decode(value: bytes | None, limits: Limits | None = None) -> RawArticle:
    """The article in the value of a message.

    Raises:
        NotDecodable: the bytes are not a JSON object (``empty-message``, ``message-too-large``,
            ``not-utf-8``, ``not-json``, ``not-an-object``).
        InvalidArticle: a field breaks a rule (``wrong-type``, ``missing-id``, ``invalid-id``,
            ``missing-date``, ``invalid-date``, ``no-text``, ``text-too-long``,
            ``control-characters``, ``decomposed-unicode``).
    """
    limits = limits or Limits()
    if not value:
        raise NotDecodable("empty-message", "The message has no value.", stage=STAGE)
    if len(value) > limits.max_message_bytes:
        raise NotDecodable(
            "message-too-large",
            f"The message has {len(value)} bytes, the limit is {limits.max_message_bytes} "
            "(limits.max_message_bytes).",
            stage=STAGE,
        )
    return validate(parse(value), limits)


def validate(fields: dict[str, Any], limits: Limits | None = None) -> RawArticle:
    """The article that the fields of a JSON object describe; unknown fields are ignored.

    Raises:
        InvalidArticle: as ``decode`` does.
    """
    limits = limits or Limits()
    article = RawArticle(
        id=_required(fields, "id"),
        title=_text(fields, "title"),
        body=_text(fields, "body"),
        published_at=_required(fields, "published_at", reason="missing-date"),
        source=_optional(fields, "source"),
        url=_optional(fields, "url"),
        language=_optional(fields, "language"),
    )
    if len(article.id) > MAX_ID_CHARS:
        raise _invalid(
            "invalid-id", f"The id has {len(article.id)} characters, the limit is {MAX_ID_CHARS}."
        )
    published_at(article.published_at)
    if not (article.title.strip() or article.body.strip()):
        raise _invalid("no-text", "Title and body are both empty.")
    length = len(article.title) + len(article.body)
    if length > limits.max_text_chars:
        raise _invalid(
            "text-too-long",
            f"Title and body have {length} characters, the limit is {limits.max_text_chars}.",
        )
    for name in ("id", "title", "body", "source", "url", "language"):
        _check_characters(name, getattr(article, name) or "")
    return article


def published_at(value: str) -> datetime:
    """The moment of an RFC 3339 string with an offset.

    Raises:
        InvalidArticle: ``invalid-date``.
    """
    if _RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # a thirteenth month and the like: the same answer as for any other text
    raise _invalid(
        "invalid-date",
        f"published_at is {value[:60]!r}; it must be RFC 3339 with an offset, such as "
        "2025-09-03T10:00:00+02:00.",
    )


def normalised(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with their text composed (NFC) and without control characters.

    The repair for ``decomposed-unicode`` and ``control-characters``. Offsets in the records then
    count in the repaired text.
    """
    return {
        name: _CONTROL.sub("", unicodedata.normalize("NFC", value))
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def parse(value: bytes) -> dict[str, Any]:
    """The JSON object in the bytes.

    Raises:
        NotDecodable: ``not-utf-8``, ``not-json`` or ``not-an-object``.
    """
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotDecodable("not-utf-8", f"Byte {error.start} is not UTF-8.", stage=STAGE) from error
    try:
        fields = orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise NotDecodable("not-json", f"The message is not JSON: {error}.", stage=STAGE) from error
    if not isinstance(fields, dict):
        raise NotDecodable(
            "not-an-object", f"The JSON is a {type(fields).__name__}, not an object.", stage=STAGE
        )
    return fields


def _invalid(reason: str, detail: str) -> InvalidArticle:
    return InvalidArticle(reason, detail, stage=STAGE)


def _required(fields: dict[str, Any], name: str, *, reason: str | None = None) -> str:
    value = _optional(fields, name)
    if value is None or not value.strip():
        raise _invalid(reason or f"missing-{name}", f"The field {name} is missing or empty.")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    return _optional(fields, name) or ""


def _optional(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _invalid("wrong-type", f"The field {name} is a {type(value).__name__}, not a string.")


def _check_characters(name: str, value: str) -> None:
    if found := _CONTROL.search(value):
        raise _invalid(
            "control-characters",
            f"The field {name} has the control character U+{ord(found.group()):04X} at "
            f"{found.start()}.",
        )
    if not unicodedata.is_normalized("NFC", value):
        raise _invalid(
            "decomposed-unicode",
            f"The field {name} is not in Unicode's composed form (NFC). Compose it, or repair it "
            "with `kasnec dead-letters replay --normalise`.",
        )
