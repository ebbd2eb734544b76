"""The name tagger: exact spans, the codebook's conventions on plain sentences, odd input."""

from __future__ import annotations

import pytest

from pipeline import languages
from pipeline.records import RawArticle
from pipeline.stages.entities import EntityTagger, form, spans
from pipeline.stages.tokenise import Tokeniser
from pipeline.stages.values import Document

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tokenise() -> Tokeniser:
    """The shipped tokeniser."""
    return Tokeniser(languages.load("sq"))


@pytest.fixture(scope="module")
def tag() -> EntityTagger:
    """The shipped tagger."""
    return EntityTagger(languages.load("sq"))


def document(tokenise: Tokeniser, title: str, body: str) -> Document:
    """An article as it reaches the tagger."""
    article = RawArticle(
        id="a", title=title, body=body, published_at="2024-05-06T07:08:09+02:00", language="sq"
    )
    return Document(article=article, language="sq", sentences=tokenise([article])[0])


def names(tokenise: Tokeniser, tag: EntityTagger, text: str) -> list[tuple[str, str]]:
    """(text, type) of the names in a body."""
    return [(m.text, m.type) for m in tag([document(tokenise, "Lajm", text)])[0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Presidenti i Francës, Emmanuel Macron, u takua në Berlin me kancelaren Angela Merkel.",
            [
                ("Francës", "LOC"),
                ("Emmanuel Macron", "PER"),
                ("Berlin", "LOC"),
                ("Angela Merkel", "PER"),
            ],
        ),
        (
            "Ministria e Punëve të Jashtme e Turqisë kundërshtoi vendimin e NATO-s.",
            [("Ministria e Punëve të Jashtme e Turqisë", "ORG"), ("NATO-s", "ORG")],
        ),
        (
            "Kosova dhe Shqipëria kërkuan ndihmë nga Bashkimi Evropian.",
            [("Kosova", "LOC"), ("Shqipëria", "LOC"), ("Bashkimi Evropian", "ORG")],
        ),
    ],
)
def test_plain_sentences_follow_the_codebook(
    tokenise: Tokeniser, tag: EntityTagger, text: str, expected: list[tuple[str, str]]
) -> None:
    """Names without titles, with their case endings; a country is LOC, a ministry ORG."""
    assert names(tokenise, tag, text) == expected


@pytest.mark.parametrize("text", ["Vendimi u mor dje pas debatit.", "12 + 30 = 42", "…", ""])
def test_no_names_are_made_up(tokenise: Tokeniser, tag: EntityTagger, text: str) -> None:
    """A sentence without names has none."""
    assert names(tokenise, tag, text) == []


def test_spans_are_exact_and_flat(tokenise: Tokeniser, tag: EntityTagger) -> None:
    """A mention is the slice of the text that its offsets name, inside its sentence, in order."""
    one = document(
        tokenise,
        "Hoti😀 në   Uashington",
        "Delegacioni i Kosovës\xa0 vizitoi Pejën.Pastaj Albin Kurti foli me BE-në.\nRoma heshti.",
    )
    mentions = tag([one])[0]
    assert len(mentions) >= 5
    at = 0
    for mention in mentions:
        sentence = one.sentences[mention.sentence]
        assert sentence.start <= mention.start < mention.end <= sentence.end
        assert one.article.text[mention.start : mention.end] == mention.text
        assert mention.start >= at
        at = mention.end


def test_a_batch_gives_what_single_documents_give(tokenise: Tokeniser, tag: EntityTagger) -> None:
    """Documents do not influence each other, and keep their order."""
    bodies = ["Erdoğani arriti në Tiranë. " * n + "Aty foli Ilir Meta." for n in (1, 40, 3)]
    batch = [document(tokenise, f"Titulli {n}", body) for n, body in enumerate(bodies)]
    batch.insert(1, document(tokenise, "", " "))
    assert tag(batch) == [tag([one])[0] for one in batch]
    assert tag([]) == []


def test_unbroken_text_stays_bounded(tokenise: Tokeniser, tag: EntityTagger) -> None:
    """The longest article without a space is tagged, whatever comes out."""
    assert tag([document(tokenise, "", "ab" * 100_000)])


def test_form_unifies_typography_and_is_never_empty() -> None:
    """The tagger meets one form of each apostrophe, quote and dash."""
    assert form("UÇK’së") == "UÇK'së"
    assert form("„") == '"'
    assert form("\u00ad") == "-"


def test_spans_reads_bioes() -> None:
    """Names of one and of several tokens, side by side."""
    assert list(spans(["S-LOC", "B-PER", "I-PER", "E-PER", "O", "S-ORG"])) == [
        (0, 1, "LOC"),
        (1, 4, "PER"),
        (5, 6, "ORG"),
    ]
