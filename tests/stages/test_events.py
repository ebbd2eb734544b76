"""The event classifier: what its models see, and what the shipped models find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline import languages
from pipeline.errors import ModelError
from pipeline.records import EntityType, RawArticle
from pipeline.stages.event_features import sentence_matrix, token_rows, words
from pipeline.stages.events import EventClassifier, trigger
from pipeline.stages.values import Detection, Document, Mention, Sentence

VISIT = "Kryeministri Agron Deda do të takohet nesër në Romë me ministrin italian Marco Lenti."
RECIPE = "Brumi lihet të pushojë një orë dhe pastaj piqet në furrë."


def document(*sentences: str, names: tuple[tuple[str, EntityType], ...] = ()) -> Document:
    """An article of these sentences, the first its title; each name is found once."""
    article = RawArticle(
        id="t1",
        title=sentences[0],
        body=" ".join(sentences[1:]),
        published_at="2031-05-03T10:00:00+02:00",
    )
    spans: list[Sentence] = []
    at = 0
    for text in sentences:
        start = article.text.index(text, at)
        at = start + len(text)
        spans.append(Sentence(start, at, ()))
    mentions = []
    for text, kind in names:
        start = article.text.index(text)
        index = next(n for n, span in enumerate(spans) if span.start <= start < span.end)
        mentions.append(Mention(start, start + len(text), text, kind, index))
    return Document(article, "sq", tuple(spans), tuple(mentions))


NAMES: tuple[tuple[str, EntityType], ...] = (
    ("Agron Deda", "PER"),
    ("Romë", "LOC"),
    ("Marco Lenti", "PER"),
)


def test_names_are_masked_by_type() -> None:
    """A name of several words is one symbol of its type; other words are folded."""
    _, sentence = words(document("Titull", VISIT, names=NAMES))
    assert sentence.masked[:6] == ("kryeministri", "#PER", "_", "do", "te", "takohet")
    assert sentence.names == (2, 1, 0)


def test_offsets_are_of_the_article() -> None:
    """A word's offsets cut it out of title, blank line and body, curly apostrophes included."""
    article = document("Titull", "S’ka takim.")
    _, sentence = words(article)
    text = article.article.text
    cut = [text[a:b] for a, b in zip(sentence.starts, sentence.ends, strict=True)]
    assert cut == ["S’ka", "takim", "."]


def test_diacritics_do_not_count() -> None:
    """A portal that writes e and c for ë and ç gives the same features."""
    plain = VISIT.replace("ë", "e").replace("ç", "c")
    one, other = (sentence_matrix(words(document("A", text))) for text in (VISIT, plain))
    assert one.columns.tolist() == other.columns.tolist()
    assert one.values.tolist() == other.values.tolist()


def test_same_input_gives_same_rows() -> None:
    """Hashing has no random seed: these rows are what the shipped weights were trained with."""
    _, sentence = words(document("Titull", "U takuan."))
    assert token_rows(sentence).shape == (3, 12)
    assert np.array_equal(token_rows(sentence), token_rows(sentence))


def test_trigger_grows_to_words_nearly_as_good() -> None:
    """Neighbours of the best word join while they score at most the drop below it."""
    _, sentence = words(document("Titull", "Ata do të takohen nesër."))
    scores = np.array([-4, 0.5, 1.0, 2.0, -3, -9], dtype=np.float32)
    assert trigger(scores, sentence, 1.5) == (1, 3)


@pytest.fixture(scope="module")
def classifier() -> EventClassifier:
    """The shipped models."""
    return EventClassifier(languages.load("sq"))


@pytest.mark.models
def test_planned_visit(classifier: EventClassifier) -> None:
    """A meeting announced for tomorrow is CONSULT, planned, with a trigger in its sentence."""
    article = document("Deda takohet me Lentin", VISIT, names=NAMES)
    (found,) = classifier([article])
    consult = [one for one in found if one.type == "CONSULT" and one.sentence == 1]
    assert [one.status for one in consult] == ["planned"]
    span = article.sentences[1]
    assert span.start <= consult[0].trigger_start < consult[0].trigger_end <= span.end


@pytest.mark.models
def test_article_without_event_gives_none(classifier: EventClassifier) -> None:
    """A recipe has no diplomatic event."""
    assert classifier([document("Si piqet buka", RECIPE)]) == [()]


@pytest.mark.models
def test_batch_does_not_change_an_article(classifier: EventClassifier) -> None:
    """An article's detections are the same alone and beside others."""
    visit, recipe = document("Takim", VISIT, names=NAMES), document("Buka", RECIPE)
    assert classifier([recipe, visit])[1] == classifier([visit])[0]


@pytest.mark.models
def test_mode_exactly_for_consult(classifier: EventClassifier) -> None:
    """Only CONSULT carries a mode; every confidence is a probability."""
    text = "Ministria e Jashtme e Arbënës dënoi ashpër sulmin e Dalmisë dhe i kërkoi të tërhiqet."
    found: list[Detection] = [
        one
        for some in classifier(
            [document("Deda takohet me Lentin", VISIT, names=NAMES), document("B", text)]
        )
        for one in some
    ]
    assert found
    assert all((one.mode is not None) == (one.type == "CONSULT") for one in found)
    assert all(0 <= one.confidence <= 1 for one in found)


@pytest.mark.models
@pytest.mark.parametrize("sentences", [(".",), ("\u0301",), ("A", " ")])
def test_odd_text_does_not_fail(classifier: EventClassifier, sentences: tuple[str, ...]) -> None:
    """Sentences without a word give no event and no error."""
    assert classifier([document(*sentences)]) == [()]


def test_no_sentences_no_events(classifier: EventClassifier) -> None:
    """A document without sentences has no events."""
    article = RawArticle(id="e", title="", body=" ", published_at="2031-05-03T10:00:00+02:00")
    assert classifier([Document(article, "sq", ())]) == [()]


def test_missing_model_is_named(tmp_path: Path) -> None:
    """Without its models the classifier says which file is missing."""
    pack = languages.LanguagePack(
        code="xx",
        model="xx-1",
        aliases=(),
        folder=tmp_path,
        checksums={"events.json": "0", "events.npz": "0"},
    )
    with pytest.raises(ModelError, match=r"events\.json"):
        EventClassifier(pack)
