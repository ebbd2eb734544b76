"""Who does it, and towards whom."""

from __future__ import annotations

import pytest

from pipeline import languages
from pipeline.records import Party
from pipeline.stages.names import NameResolver
from pipeline.stages.parties import PartyFinder
from pipeline.stages.values import Detection, Document
from tests.stages.marked import detection, document

pytestmark = pytest.mark.models


class Finder:
    """Names and parties in one call."""

    def __init__(self, kosovo_code: str = "XKX") -> None:
        pack = languages.load("sq")
        self._names = NameResolver(pack, kosovo_code=kosovo_code)
        self._parties = PartyFinder(pack, kosovo_code=kosovo_code)

    def __call__(
        self, article: Document, event: Detection
    ) -> tuple[tuple[Party, ...], tuple[Party, ...]]:
        return self._parties(article, self._names(article), event)


@pytest.fixture(scope="module")
def find() -> Finder:
    """The shipped model."""
    return Finder()


def test_accusation(find: Finder) -> None:
    """The subject accuses, the object of "dënoi" is accused."""
    article = document("Reagim", "[Franca|LOC] dënoi sulmin e [Rusisë|LOC].")
    actors, recipients = find(article, detection(article, "dënoi", "ACCUSE"))
    assert [(p.text, p.name, p.code, p.kind) for p in actors] == [
        ("Franca", "France", "FRA", "LOC")
    ]
    assert [(p.text, p.name, p.code, p.kind) for p in recipients] == [
        ("Rusisë", "Russia", "RUS", "LOC")
    ]


def test_planned_summit_of_two_leaders(find: Finder) -> None:
    """Leaders named after their offices act for their states, and each state is listed once."""
    article = document(
        "Takim për [Ukrainën|LOC]",
        "Presidenti i [Francës|LOC], [Emmanuel Macron|PER], dhe kryeministri i"
        " [Britanisë së Madhe|LOC], [Keir Starmer|PER], do ta organizojnë të enjten një takim.",
    )
    event = detection(article, "do ta organizojnë", "CONSULT", "planned", "summit")
    actors, _ = find(article, event)
    by_code = {party.code: party for party in actors}
    assert {"FRA", "GBR"} <= set(by_code)
    assert len(by_code) == len(actors)
    assert (by_code["FRA"].text, by_code["FRA"].name) == ("Emmanuel Macron", "Emmanuel Macron")
    assert (by_code["FRA"].kind, by_code["FRA"].role) == ("PER", "president")


def test_described_party(find: Finder) -> None:
    """Who is described, not named, is a party with the words as they stand and no kind."""
    article = document("Reagim", "Kancelarja gjermane dënoi sulmin e [Rusisë|LOC].",
                       published_at="2019-03-04T10:00:00+01:00")  # fmt: skip
    actors, _ = find(article, detection(article, "dënoi", "ACCUSE"))
    assert [(p.text, p.name, p.code, p.kind, p.role) for p in actors] == [
        ("Kancelarja gjermane", "Angela Merkel", "DEU", None, "chancellor")
    ]


def test_offsets(find: Finder) -> None:
    """A party's text stands where its offsets say."""
    article = document("Reagim", "Autoritetet kineze dënuan vendimin e [SHBA-së|LOC].")
    actors, recipients = find(article, detection(article, "dënuan", "ACCUSE"))
    for party in (*actors, *recipients):
        assert article.article.text[party.start : party.end] == party.text


def test_dropped_subject(find: Finder) -> None:
    """An actor of another sentence has no text and no offsets in the evidence."""
    article = document(
        "[Suedia|LOC] reagon ndaj [Rusisë|LOC]",
        "[Suedia|LOC] reagoi menjëherë.",
        "E ka dënuar ashpër [Rusinë|LOC].",
    )
    actors, recipients = find(article, detection(article, "dënuar", "ACCUSE", sentence=2))
    parties = {party.code: party for party in (*actors, *recipients)}
    assert (parties["SWE"].text, parties["SWE"].start, parties["SWE"].end) == ("", None, None)


def test_somebody_is_always_found(find: Finder) -> None:
    """An event in an article that names a state has a party."""
    article = document("Lajm", "[Norvegjia|LOC] dhe të tjerët.")
    actors, recipients = find(article, detection(article, "tjerët", "PROTEST"))
    assert [party.code for party in (*actors, *recipients)] == ["NOR"]


def test_kosovo_code() -> None:
    """Kosovo is written as the settings say."""
    article = document("Reagim", "[Kosova|LOC] dënoi sulmin e [Rusisë|LOC].")
    actors, _ = Finder("KOS")(article, detection(article, "dënoi", "ACCUSE"))
    assert [party.code for party in actors] == ["KOS"]
