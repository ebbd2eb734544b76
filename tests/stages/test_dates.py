"""Dates: the grammar's values, and which date is the event's."""

from __future__ import annotations

import pytest

from pipeline import languages
from pipeline.records import Status
from pipeline.stages.dates import DateResolver, Grammar
from tests.stages.marked import detection, document


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    """The date expressions of Albanian."""
    return Grammar(languages.load("sq"))


def values(
    grammar: Grammar, text: str, status: Status, published_at: str = "2025-09-03T10:00:00+02:00"
) -> list[str]:
    """The values of the dates in a text that is published on a Wednesday."""
    return [e.value for e in grammar(document(text, published_at=published_at), 0, status)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("të hënën", "2025-09-01"), ("te henen", "2025-09-01"), ("së enjtes", "2025-08-28"),
        ("ditën e premte", "2025-08-29"), ("të mërkurën", "2025-09-03"), ("sot", "2025-09-03"),
        ("dje mbrëma", "2025-09-02"), ("mbrëmë", "2025-09-02"), ("ditën e djeshme", "2025-09-02"),
        ("më 3 shtator", "2025-09-03"),
        ("Më 10 gusht", "2025-08-10"), ("në datën 1 maj 2019", "2019-05-01"),
        ("27.06.2020", "2020-06-27"), ("2024-02-29", "2024-02-29"), ("javën e kaluar", "2025-W35"),
        ("muajin e kaluar", "2025-08"), ("vitin e kaluar", "2024"),
        ("para dy ditësh", "2025-09-01"),
        ("tri javë më parë", "2025-08-13"), ("dy vjet më parë", "2023"), ("në qershor", "2025-06"),
        ("në tetor", "2024-10"), ("në nëntor të vitit 2018", "2018-11"), ("në vitin 2018", "2018"),
        ("në fillim të këtij muaji", "2025-09"), ("të premten e kaluar", "2025-08-29"),
        ("natën e kaluar", "2025-09-02"), ("nga 24 gushti deri më 28 gusht", "2025-08-24"),
    ],
)  # fmt: skip
def test_past(grammar: Grammar, text: str, value: str) -> None:
    """What has happened lies on or before the day of publication."""
    assert values(grammar, f"U takuan {text} aty", "actual")[0] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("të enjten", "2025-09-04"), ("e hënë", "2025-09-08"), ("këtë të premte", "2025-09-05"),
        ("nesër", "2025-09-04"), ("pasnesër", "2025-09-05"), ("sonte", "2025-09-03"),
        ("më 10 tetor", "2025-10-10"), ("në qershor", "2026-06"),
        ("në tetor", "2025-10"), ("javën e ardhshme", "2025-W37"), ("javën që vjen", "2025-W37"),
        ("vitin e ardhshëm", "2026"), ("pas tri javësh", "2025-09-24"),
        ("në fund të muajit", "2025-09"),
        ("të martën e ardhshme", "2025-09-09"), ("gjatë pranverës", "2026"),
    ],
)  # fmt: skip
def test_future(grammar: Grammar, text: str, value: str) -> None:
    """What is planned lies on or after the day of publication."""
    assert values(grammar, f"Do të takohen {text} aty", "planned")[0] == value


@pytest.mark.parametrize("text", ["në orën 11:00", "31.02.2025", "rasti me numër 2025", "Dielli"])
def test_no_date(grammar: Grammar, text: str) -> None:
    """A time of day, an impossible day, a number and a look-alike are no dates."""
    assert values(grammar, f"U takuan {text}", "actual") == []


def test_offset_of_the_article(grammar: Grammar) -> None:
    """Today is the date in the article's own offset, not in UTC."""
    assert values(grammar, "sot", "actual", "2025-09-03T00:30:00+02:00") == ["2025-09-03"]


def test_week_at_the_turn_of_the_year(grammar: Grammar) -> None:
    """Weeks are ISO weeks: the one after 29 December 2025 is the second of 2026."""
    found = values(grammar, "javën e ardhshme", "planned", "2025-12-29T08:00:00+01:00")
    assert found == ["2026-W02"]


@pytest.fixture(scope="module")
def resolve() -> DateResolver:
    """The resolver with the shipped model."""
    return DateResolver(languages.load("sq"))


@pytest.mark.models
def test_date_of_the_event(resolve: DateResolver) -> None:
    """The date beside the event is the event's."""
    article = document("Takim", "Presidentët do të takohen të enjten në Oslo.")
    found = resolve(article, detection(article, "do të takohen", "CONSULT", "planned", "meeting"))
    assert found is not None
    assert (found.value, found.granularity, found.text) == ("2025-09-04", "day", "të enjten")


@pytest.mark.models
def test_no_date_is_assumed(resolve: DateResolver) -> None:
    """An article without a date gives the event none."""
    article = document("Takim", "Presidentët u takuan në Oslo.")
    assert resolve(article, detection(article, "u takuan", "CONSULT", mode="meeting")) is None
