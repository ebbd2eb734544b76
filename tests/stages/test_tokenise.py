"""The tokeniser: exact offsets on any text, and the sentence borders that portals blur."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import languages
from pipeline.errors import ModelError
from pipeline.records import RawArticle
from pipeline.stages.tokenise import Tokeniser
from pipeline.stages.values import Sentence

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tokenise() -> Tokeniser:
    """The shipped tokeniser."""
    return Tokeniser(languages.load("sq"))


def article(title: str, body: str) -> RawArticle:
    """A raw article around a text."""
    return RawArticle(id="a", title=title, body=body, published_at="2024-05-06T07:08:09+02:00")


def split(tokenise: Tokeniser, title: str, body: str) -> list[str]:
    """The texts of the sentences."""
    one = article(title, body)
    return [one.text[s.start : s.end] for s in tokenise([one])[0]]


def check(one: RawArticle, sentences: tuple[Sentence, ...]) -> None:
    """Offsets are exact, in order, without overlap; only white space is left out."""
    at = 0
    for sentence in sentences:
        assert sentence.tokens
        assert sentence.start == sentence.tokens[0].start
        assert sentence.end == sentence.tokens[-1].end
        for token in sentence.tokens:
            assert token.start >= at
            assert not one.text[at : token.start].strip(WHITE)
            assert one.text[token.start : token.end] == token.text
            assert not any(c.isspace() for c in token.text)
            assert 0 < len(token.text) <= 100
            at = token.end
        assert "\n" not in one.text[sentence.start : sentence.end] or sentence is sentences[0]
        assert len(sentence.tokens) <= 250
    assert not one.text[at:].strip(WHITE)


# Stanza counts the C1 controls as white space, Python only U+0085.
WHITE = " \t\n\r\v\f\x1c\x1d\x1e\x1f\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, [*range(0x80, 0xA0), *range(0x2000, 0x200B)])
)

ODD = {
    "emoji and astral letters": ("🇦🇱 Takimi 😀", "Ministri 👨‍👩‍👧 foli. 𝔄lbani 𐐷 erdhi."),
    "no-break space and soft hyphen": (
        "Lajm\xa0i ri",
        "Kryemi\xadnistri\xa0foli. Pastaj\u202fiku.",
    ),
    "tabs and many spaces": ("\t Titull   i\t\tgjatë ", "Fjali  e   parë.\t\t   Fjali e dytë.  "),
    "carriage returns": ("Titull", "Rreshti i parë\r\nRreshti i dytë\r\n\r\n"),
    "control characters": ("Titull\x85i", "Një\x97fjali. \x80\x81 Tjetra.\x00 Fund."),
    "empty body": ("Vetëm titull", ""),
    "empty title": ("", "Vetëm trup. Dy fjali."),
    "blank lines": ("Titull", "\n\n  \n\t\nFjali.\n\n\n"),
    "no letters": ("12:30", "... !!! — 27.06.2020 ??? (%) 100"),
    "one character": (".", "x"),
    "combining marks": ("Prishtine\u0308", "C\u0327do gje\u0308 u ndal. \u0308"),
    "a lone letter after space": (" a", " b "),
}


@pytest.mark.parametrize(("title", "body"), ODD.values(), ids=ODD.keys())
def test_offsets_are_exact_on_odd_text(tokenise: Tokeniser, title: str, body: str) -> None:
    """Every token is the slice of the text that its offsets name; nothing but space is lost."""
    one = article(title, body)
    check(one, tokenise([one])[0])


@pytest.mark.parametrize(("title", "body"), [("", ""), (" \t", "\n \n"), ("\xa0", "\u2003")])
def test_white_space_only_gives_no_sentence(tokenise: Tokeniser, title: str, body: str) -> None:
    """An article of white space has no sentences."""
    assert tokenise([article(title, body)]) == [()]


@given(title=st.text(max_size=60), body=st.text(max_size=600))
@settings(max_examples=60)
def test_offsets_are_exact_on_any_text(title: str, body: str) -> None:
    """Whatever the text is, offsets are exact."""
    one = article(title, body)
    check(one, _shared()([one])[0])


_SHARED: list[Tokeniser] = []


def _shared() -> Tokeniser:
    """Hypothesis refuses function fixtures across examples; this is loaded once."""
    if not _SHARED:
        _SHARED.append(Tokeniser(languages.load("sq")))
    return _SHARED[0]


def test_two_hundred_thousand_characters_without_a_space(tokenise: Tokeniser) -> None:
    """The longest article that is allowed, as one word, is split in bounded time and pieces."""
    one = article("", "ab" * 100_000)
    began = time.monotonic()
    check(one, tokenise([one])[0])
    assert time.monotonic() - began < 60  # 8 s on two busy cores


def test_a_sentence_without_end_is_cut(tokenise: Tokeniser) -> None:
    """A list of a thousand names is cut into sentences of at most 250 tokens, after commas."""
    one = article("", ", ".join(["Arta Bregu"] * 1000))
    sentences = tokenise([one])[0]
    check(one, sentences)
    assert all(s.tokens[-1].text == "," for s in sentences[:-1])


def test_the_title_is_sentence_zero_whole(tokenise: Tokeniser) -> None:
    """A full stop does not split a title."""
    title = "Takimi u mbyll. Nuk pati marrëveshje. Çka tani?"
    assert split(tokenise, title, "Trupi i lajmit.")[0] == title


def test_no_sentence_crosses_a_line(tokenise: Tokeniser) -> None:
    """A line break ends a sentence, also without a full stop."""
    assert split(tokenise, "Titulli", "Rreshti i parë pa pikë\nRreshti i dytë\ni treti") == [
        "Titulli",
        "Rreshti i parë pa pikë",
        "Rreshti i dytë",
        "i treti",
    ]


GLUED = {
    "full stop": ("Ata morën një vendim.", "Në fund të takimit foli ministri."),
    "question": ("A do të vijë delegacioni?", "Askush nuk e di."),
    "quote after": ("Takimi zgjati tri orë.", "“Ishte i mirë”, tha ambasadorja."),
    "quote before": ("“Nuk kemi çka të themi.”", "Kështu u përgjigj zëdhënësi."),
}


@pytest.mark.parametrize("parts", GLUED.values(), ids=GLUED.keys())
@pytest.mark.parametrize("gap", ["", " "], ids=["glued", "spaced"])
def test_sentences_are_split_also_where_glued(
    tokenise: Tokeniser, parts: tuple[str, str], gap: str
) -> None:
    """A missing space between sentences does not join them."""
    assert split(tokenise, "Lajm", gap.join(parts))[1:] == list(parts)


@pytest.mark.parametrize(
    "sentence",
    [
        "Z. Bregu dhe Dr. Lila Mema u takuan në Vlorë.",
        "Marrëveshja u nënshkrua më 27.06.2020 në orën 12.30.",
        "Kompania A. B. Hoxha fitoi 1.250.000 euro.",
        "Ministrja e Jashtme, E. Dushku, foli me Sh. Krasniqin.",
    ],
)
def test_stops_inside_a_sentence_do_not_split_it(tokenise: Tokeniser, sentence: str) -> None:
    """Abbreviations, initials, dates and numbers keep their sentence whole."""
    assert split(tokenise, "Lajm", sentence)[1:] == [sentence]


def test_words_keep_their_endings_and_marks_stand_alone(tokenise: Tokeniser) -> None:
    """Tokens are surface words with their case endings; quotes, commas and stops are apart."""
    one = article("Lajm", "“SHBA-së i duhet NATO-ja”, tha ai në orën 12:30, më 27.06.2020.")
    assert " ".join(t.text for t in tokenise([one])[0][1].tokens) == (
        "“ SHBA-së i duhet NATO-ja ” , tha ai në orën 12:30 , më 27.06.2020 ."
    )


def test_a_batch_gives_what_single_articles_give(tokenise: Tokeniser) -> None:
    """Articles do not influence each other, whatever their length and order."""
    batch = [article(title, body) for title, body in ODD.values()]
    batch.append(article("Gjatë", "Presidenti foli për paqen. " * 200))
    assert tokenise(batch) == [tokenise([one])[0] for one in batch]


def test_a_corrupted_model_is_refused(tmp_path: pytest.TempPathFactory) -> None:
    """A file that is no checkpoint raises ModelError, not whatever Stanza raises."""
    from pipeline.training.manifest import preview

    folder = tmp_path / "models"  # type: ignore[operator]
    folder.mkdir()
    (folder / "tokenise.pt").write_bytes(b"no model")
    with pytest.raises(ModelError, match="does not load"):
        Tokeniser(preview(languages.load("sq"), folder))
