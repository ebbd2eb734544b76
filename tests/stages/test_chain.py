"""All stages with the shipped models, on the seed article and on hostile ones."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest

from pipeline import schemas, sources
from pipeline.errors import BadInput, StageFailed
from pipeline.records import RawArticle, encode
from pipeline.stages.chain import Chain
from pipeline.stages.decode import validate
from pipeline.stages.values import Extraction

pytestmark = pytest.mark.models
SEEDS = Path("seeds")


@pytest.fixture(scope="module")
def chain() -> Chain:
    """The chain with its models."""
    return Chain()


def articles(*files: str) -> list[RawArticle]:
    """The articles of seed files."""
    found = sources.read([SEEDS / file for file in files])
    return [validate(f.content) for f in found if not isinstance(f.content, BadInput)]


@pytest.fixture(scope="module")
def seed(chain: Chain) -> Extraction:
    """What the user's article yields."""
    (extraction,) = chain.run(articles("000_07caa4f05b56ff47.txt"))
    assert isinstance(extraction, Extraction)
    return extraction


@pytest.fixture(scope="module")
def stream(chain: Chain) -> list[tuple[RawArticle, Extraction]]:
    """What the first dozen articles of the demonstration stream yield."""
    some = articles("summits-2027.jsonl")[:12]
    results = chain.run(some)
    return [(a, e) for a, e in zip(some, results, strict=True) if isinstance(e, Extraction)]


def test_the_seed_article_yields_the_summit(seed: Extraction) -> None:
    """CONSULT, summit, planned for 4 September 2025, France and Britain among the parties."""
    (summit,) = [
        event
        for event in seed.events
        if (event.type, event.mode, event.status) == ("CONSULT", "summit", "planned")
        and event.date
        and event.date.value == "2025-09-04"
        and {"FRA", "GBR"} <= {party.code for party in (*event.actors, *event.recipients)}
    ]
    assert summit.evidence.text.startswith("Presidenti i Francës, Emmanuel Macron, dhe")
    assert summit.evidence.text.endswith("për Ukrainën.")
    assert summit.codes.plover == "AGREE"


def test_offsets_cut_out_the_text(
    seed: Extraction, stream: list[tuple[RawArticle, Extraction]]
) -> None:
    """Every span of every record is the text that it says."""
    (user,) = articles("000_07caa4f05b56ff47.txt")
    checked = 0
    for article, extraction in [(user, seed), *stream]:
        text = article.text
        for entity in extraction.annotated.entities:
            assert text[entity.start : entity.end] == entity.text
            sentence = extraction.annotated.sentences[entity.sentence]
            assert sentence.start <= entity.start < entity.end <= sentence.end
        for event in extraction.events:
            evidence = event.evidence
            assert text[evidence.start : evidence.end] == evidence.text
            trigger = evidence.trigger
            assert evidence.start <= trigger.start <= trigger.end <= evidence.end
            assert text[trigger.start : trigger.end] == trigger.text
            for party in (*event.actors, *event.recipients):
                if party.start is not None:
                    assert text[party.start : party.end] == party.text
            checked += 1
    assert checked > 5


def test_records_keep_their_schemas(
    seed: Extraction, stream: list[tuple[RawArticle, Extraction]]
) -> None:
    """What the real chain gives is valid, and event ids are unique inside an article."""
    event_schema = jsonschema.Draft202012Validator(schemas.schema("diplomatic-event"))
    annotated_schema = jsonschema.Draft202012Validator(schemas.schema("annotated-article"))
    for extraction in [seed, *[e for _, e in stream]]:
        annotated_schema.validate(orjson.loads(encode(extraction.annotated)))
        for event in extraction.events:
            event_schema.validate(orjson.loads(encode(event)))
        ids = [event.event_id for event in extraction.events]
        assert len(set(ids)) == len(ids)


def test_records_do_not_depend_on_the_batch(
    chain: Chain, stream: list[tuple[RawArticle, Extraction]]
) -> None:
    """Articles in another order and company give the same bytes."""
    some = [article for article, _ in stream][:5]
    again = chain.run(list(reversed(some)))
    for (_, extraction), other in zip(stream[:5], reversed(again), strict=True):
        assert isinstance(other, Extraction)
        assert encode(other.annotated) == encode(extraction.annotated)
        assert [encode(e) for e in other.events] == [encode(e) for e in extraction.events]


@pytest.mark.parametrize(
    "body",
    [
        "a" * 20_000,
        "Ë" * 300 + "😀" * 300,
        "Rutte takoi Karisin. " * 300,
        "\u200b\u00a0\u00ad.\t-",
        "1",
        "“”‘’()…",
        "TAKIM I LARTË NË TIRANË",
        "\u0301\u0302\u0303" * 500,
    ],
)
def test_hostile_text_is_coded_or_refused(chain: Chain, body: str) -> None:
    """Odd text ends as records or as bad input, never as an exception."""
    (result,) = chain.run([RawArticle(id="x", body=body, published_at="2026-11-23T08:00:00Z",
                                      language="sq")])  # fmt: skip
    assert isinstance(result, Extraction)


def test_a_stage_that_raises_is_named(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage raises becomes bad input with the stage's name; its neighbours are coded."""
    some = articles("summits-2027.jsonl")[:3]
    stages = chain._languages["sq"]
    real = stages.entities

    def failing(documents: list[object]) -> object:
        if documents[0].article.id == some[1].id:  # type: ignore[attr-defined]
            msg = "a fault"
            raise ValueError(msg)
        return real(documents)  # type: ignore[arg-type]

    monkeypatch.setattr(stages, "entities", failing)
    first, second, third = chain.run(some)
    assert isinstance(first, Extraction)
    assert isinstance(third, Extraction)
    assert isinstance(second, StageFailed)
    assert (second.reason, second.stage) == ("stage-raised", "entities")
    assert second.detail == "ValueError: a fault"


def test_nothing_is_taken_from_the_headline_of_another_article(chain: Chain) -> None:
    """The meeting of a teaser is none of this article's; its names are annotated."""
    headline = "Kryeministri Rama takohet me Presidentin Macron në Paris"
    weather = "Nesër do të bjerë shi në gjithë vendin."
    own, foreign = (
        RawArticle(
            id=cue or "own",
            title="Moti i nesërm",
            body=f"{weather}{cue}{headline}Temperaturat do të ulen në mbrëmje.",
            published_at="2027-03-08T10:00:00+01:00",
            language="sq",
        )
        for cue in ("\n", "Lexoni edhe: ")
    )
    told, untold = chain.run([own, foreign])
    assert isinstance(told, Extraction)
    assert isinstance(untold, Extraction)
    assert [event.type for event in told.events] == ["CONSULT"]
    assert not untold.events
    assert {"Rama", "Paris"} <= {entity.text for entity in untold.annotated.entities}
    spans = [foreign.text[s.start : s.end] for s in untold.annotated.sentences]
    assert f"Lexoni edhe: {headline}" in spans
