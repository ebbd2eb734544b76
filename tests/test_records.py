"""The records on the wire, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from pipeline import schemas
from pipeline.records import (
    AnnotatedArticle,
    ArticleRef,
    Codes,
    DiplomaticEvent,
    Entity,
    EventDate,
    Evidence,
    Participant,
    Party,
    Place,
    RawArticle,
    SentenceSpan,
    Summit,
    SummitAlert,
    Trigger,
    encode,
)

GOLDEN = Path(__file__).parent / "golden"

REF = ArticleRef(
    id="shembull-1",
    source="Radio Shembulli",
    url=None,
    language="sq",
    title="Ana Kodra vjen të enjten në Prishtinë",
    published_at="2026-11-23T10:00:00+01:00",
)
DATE = EventDate(value="2026-11-26", granularity="day", text="të enjten")
PLACE = Place(text="Prishtinë", name="Pristina", code="XKX", latitude=42.67, longitude=21.17)
EVENT = DiplomaticEvent(
    event_id="e" * 32,
    story_id="5" * 32,
    article=REF,
    type="CONSULT",
    mode="visit",
    status="planned",
    actors=(
        Party(text="Ana Kodra", name="Ana Kodra", code="ALB", kind="PER", role="minister",
              start=0, end=9),
    ),
    recipients=(
        Party(text="", name="Kosovo", code="XKX", kind=None, role=None, start=None, end=None),
    ),
    date=DATE,
    place=PLACE,
    evidence=Evidence(
        start=0,
        end=37,
        text="Ana Kodra vjen të enjten në Prishtinë",
        trigger=Trigger(start=10, end=14, text="vjen"),
    ),
    codes=Codes(plover="AGREE", cameo="036", quad_class=1, goldstein=4.0),
    confidence=0.93,
    model="sq-2026.12",
)  # fmt: skip
SUMMIT = Summit(
    name="Takimi i Prishtinës",
    status="planned",
    date=DATE,
    place=PLACE,
    participants=(Participant(name="Albania", code="ALB"), Participant(name="Kosovo", code="XKX")),
    first_seen="2026-11-23T10:00:00+01:00",
    articles=1,
)
RECORDS: dict[str, Any] = {
    "raw-article": RawArticle(
        id="shembull-1",
        title=REF.title,
        body="",
        published_at=REF.published_at,
        source="Radio Shembulli",
    ),
    "annotated-article": AnnotatedArticle(
        article=REF,
        sentences=(SentenceSpan(start=0, end=37),),
        entities=(
            Entity(start=0, end=9, text="Ana Kodra", type="PER", name="Ana Kodra", code="ALB",
                   sentence=0),
            Entity(start=28, end=37, text="Prishtinë", type="LOC", name=None, code=None,
                   sentence=0),
        ),
    ),
    "diplomatic-event": EVENT,
    "summit-alert": SummitAlert(
        alert_id="a" * 32, summit_id="c" * 32, change="new", before=None, summit=SUMMIT, event=EVENT
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_golden(name: str) -> None:
    """A record is written as the example beside this test, field for field in order."""
    assert encode(RECORDS[name]) + b"\n" == (GOLDEN / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", RECORDS)
def test_golden_examples_keep_their_schema(name: str) -> None:
    """Every example is valid under the published schema."""
    published = orjson.loads((schemas.FOLDER / f"{name}.json").read_bytes())
    checker = jsonschema.Draft202012Validator(published)
    checker.check_schema(published)
    checker.validate(orjson.loads((GOLDEN / f"{name}.json").read_bytes()))


def test_published_schemas_are_those_of_the_types() -> None:
    """``config/schemas`` is what ``python -m pipeline.schemas`` writes."""
    found = {path.name: path.read_bytes() for path in schemas.FOLDER.iterdir()}
    assert found == schemas.files()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "MEET"),
        (("status",), "perhaps"),
        (("mode",), "picnic"),
        (("confidence",), 1.5),
        (("date", "value"), "26.11.2026"),
        (("codes", "quad_class"), 5),
        (("evidence", "start"), -1),
        (("schema",), "diplomatic-event/2"),
        (("event_id",), None),
    ],
)
def test_schema_refuses(path: tuple[str, ...], value: object) -> None:
    """The schema of an event refuses what is none."""
    record = orjson.loads(encode(EVENT))
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    checker = jsonschema.Draft202012Validator(schemas.schema("diplomatic-event"))
    assert not checker.is_valid(record)


def test_every_field_of_the_contract_is_there() -> None:
    """An event has the fields of record.md, in its order, and no others."""
    assert list(orjson.loads(encode(EVENT))) == [
        "schema", "event_id", "story_id", "article", "type", "mode", "status", "actors",
        "recipients", "date", "place", "evidence", "codes", "confidence", "model",
    ]  # fmt: skip
