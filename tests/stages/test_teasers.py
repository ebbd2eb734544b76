"""Headlines of other articles inside the text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline import languages
from pipeline.records import RawArticle
from pipeline.stages.teasers import Teasers
from pipeline.stages.values import Document, Mention, Sentence, Token

BEFORE = "Ministri foli me homologun e tij."


@pytest.fixture(scope="module")
def teasers() -> Teasers:
    """The cues of Albanian."""
    return Teasers(languages.load("sq"))


def document(*sentences: str, title: str = "Titulli") -> Document:
    """A document of these sentences, glued to each other, with a token a word."""
    article = RawArticle(
        id="a1", title=title, body="".join(sentences), language="sq",
        published_at="2025-09-03T10:00:00+02:00",
    )  # fmt: skip
    found, at = [], len(title) + 2
    for sentence in sentences:
        tokens, start = [], at
        for word in sentence.split(" "):
            tokens.append(Token(start, start + len(word), word))
            start += len(word) + 1
        found.append(Sentence(at, at + len(sentence), tuple(tokens)))
        at += len(sentence)
    return Document(article, "sq", tuple(found))


def texts(made: Document) -> list[str]:
    """The sentences as they stand in the text."""
    return [made.article.text[s.start : s.end] for s in made.sentences]


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        (
            "Lexoni edhe:Dy të lënduar në aksidentKjo vizitë është e para.",
            ["Lexoni edhe:Dy të lënduar në aksident", "Kjo vizitë është e para."],
        ),
        (
            "Lexoni edhe: BE’ja ndihmon 20 spitale “më shumë se kurrë”“Unë pres”, tha ai.",
            [
                "Lexoni edhe: BE’ja ndihmon 20 spitale “më shumë se kurrë”",
                "“Unë pres”, tha ai.",
            ],
        ),
        (
            "LEXO EDHE : Rriten rastet me COVID-19Kryeministri udhëton.",
            ["LEXO EDHE : Rriten rastet me COVID-19", "Kryeministri udhëton."],
        ),
        ("Lexoni edhe: Vapa vazhdon gjithë javën", ["Lexoni edhe: Vapa vazhdon gjithë javën"]),
        (
            "Ai u kthye. Lexoni edhe: Vapa vazhdonLexo edhe: Bie shiPresidenti foli.",
            ["Ai u kthye.", "Lexoni edhe: Vapa vazhdon", "Lexo edhe: Bie shi", "Presidenti foli."],
        ),
    ],
)
def test_a_headline_is_a_sentence_of_its_own(
    teasers: Teasers, sentence: str, parts: list[str]
) -> None:
    """From its cue to where the text goes on; every token in one of the parts, cut where glued."""
    made = teasers.split(document(BEFORE, sentence))
    assert texts(made) == [BEFORE, *parts]
    for found in made.sentences:
        assert (found.start, found.end) == (found.tokens[0].start, found.tokens[-1].end)
        for token in found.tokens:
            assert made.article.text[token.start : token.end] == token.text
    quiet = [teasers.is_teaser(made, s) for s in made.sentences]
    assert quiet == [text.lower().startswith("lexo") for text in texts(made)]


@pytest.mark.parametrize("sentence", ["Ai tha: lexoni edhe librin.", "Lexoni edhe këtë letër."])
def test_other_sentences_stay_whole(teasers: Teasers, sentence: str) -> None:
    """Without the colon after them the words are no cue."""
    made = document(BEFORE, sentence)
    assert teasers.split(made) == made
    assert teasers.silenced(made) == made


def test_a_title_is_left_alone(teasers: Teasers) -> None:
    """A title that begins with the cue is the article's own."""
    title = "Lexoni edhe: çfarë shkruanVetë"
    made = document(BEFORE, title=title)
    head = Sentence(0, len(title), (Token(0, len(title), title),))
    whole = Document(made.article, "sq", (head, *made.sentences))
    assert teasers.split(whole) == whole
    assert teasers.silenced(whole) == whole


def test_nothing_is_taken_from_it(teasers: Teasers) -> None:
    """Its sentence keeps its number and has no text, no tokens and no names."""
    made = teasers.split(document(BEFORE, "Lexoni edhe: Rama në ParisPresidenti foli."))
    paris = made.article.text.index("Paris")
    here = made.article.text.index("Ministri")
    names = (
        Mention(here, here + 8, "Ministri", "PER", 0),
        Mention(paris, paris + 5, "Paris", "LOC", 1),
    )
    made = replace(made, mentions=names)
    quiet = teasers.silenced(made)
    assert [bool(s.tokens) for s in quiet.sentences] == [True, False, True]
    assert texts(quiet) == [BEFORE, "", "Presidenti foli."]
    assert [m.text for m in quiet.mentions] == ["Ministri"]
