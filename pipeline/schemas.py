"""The JSON Schemas of the records, generated from their types.

``python -m pipeline.schemas`` writes them to ``config/schemas/``; a test fails when the files there
differ from the types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from pipeline.records import AnnotatedArticle, DiplomaticEvent, RawArticle, SummitAlert

FOLDER: Final = Path("config/schemas")
RECORDS: Final[dict[str, type]] = {
    "raw-article": RawArticle,
    "annotated-article": AnnotatedArticle,
    "diplomatic-event": DiplomaticEvent,
    "summit-alert": SummitAlert,
}

_TEXT: Final = {"minLength": 1}
_MOMENT: Final = {"format": "date-time"}
_OFFSET: Final = {"minimum": 0}
_ALPHA_3_OR_ACRONYM: Final = {"pattern": r"^[A-Z][A-Z0-9&-]*$"}
# What record.md says of a field and its Python type cannot.
_RULES: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("RawArticle", "id"): {"minLength": 1, "maxLength": 200},
    ("RawArticle", "published_at"): _MOMENT,
    ("ArticleRef", "id"): {"minLength": 1, "maxLength": 200},
    ("ArticleRef", "published_at"): _MOMENT,
    ("SentenceSpan", "start"): _OFFSET,
    ("Entity", "start"): _OFFSET,
    ("Entity", "sentence"): _OFFSET,
    ("Entity", "text"): _TEXT,
    ("Party", "code"): _ALPHA_3_OR_ACRONYM,
    ("Place", "code"): _ALPHA_3_OR_ACRONYM,
    ("EventDate", "value"): {"pattern": r"^\d{4}(-\d{2}(-\d{2})?|-W\d{2})?$"},
    ("Evidence", "start"): _OFFSET,
    ("Evidence", "text"): _TEXT,
    ("Trigger", "start"): _OFFSET,
    ("Codes", "cameo"): {"pattern": r"^\d{2,4}$"},
    ("Codes", "quad_class"): {"minimum": 1, "maximum": 4},
    ("Codes", "goldstein"): {"minimum": -10, "maximum": 10},
    ("DiplomaticEvent", "event_id"): _TEXT,
    ("DiplomaticEvent", "story_id"): _TEXT,
    ("DiplomaticEvent", "confidence"): {"minimum": 0, "maximum": 1},
    ("SummitAlert", "alert_id"): _TEXT,
    ("SummitAlert", "summit_id"): _TEXT,
    ("Summit", "first_seen"): _MOMENT,
    ("Summit", "articles"): {"minimum": 1},
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record.

    Args:
        name: a key of ``RECORDS``.
    """
    kind = RECORDS[name]
    # By serialisation: every field is on the wire, those with a default too.
    mode: Any = "validation" if kind is RawArticle else "serialization"
    generated = TypeAdapter(kind).json_schema(mode=mode)
    for title, part in {kind.__name__: generated, **generated.get("$defs", {})}.items():
        for field, rules in part["properties"].items():
            rules.update(_RULES.get((title, field), {}))
    version = "1"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:kasnec:{name}:{version}",
        **generated,
    }


def files() -> dict[str, bytes]:
    """File name to content, as they are to be under ``config/schemas``."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return {f"{name}.json": orjson.dumps(schema(name), option=options) for name in RECORDS}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, content in files().items():
        (FOLDER / file).write_bytes(content)
