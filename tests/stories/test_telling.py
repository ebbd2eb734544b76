"""Alerts in words, and who wants to be told them."""

from __future__ import annotations

import pytest

from pipeline.stories.filters import Wanted
from pipeline.stories.register import Register
from pipeline.stories.telling import headline, lines
from tests.stories.builders import summit_event
from tests.stories.stream2027 import perfect_alerts


def test_a_life_in_headlines() -> None:
    """Each says what is new and what was before."""
    register = Register()
    told = [
        register.observe(event).alert
        for event in (
            summit_event("a", "2027-03-04", date="2027-W11"),
            summit_event("b", "2027-03-05", date="2027-03-19"),
            summit_event("c", "2027-03-06", date="2027-03-19", place="Istanbul"),
            summit_event("d", "2027-03-18", status="postponed", date="2027-03-26"),
            summit_event("e", "2027-03-20", status="cancelled"),
        )
    ]
    name = "Turkey–Serbia–Bosnia and Herzegovina summit"
    assert [headline(alert) for alert in told if alert] == [
        f"New summit: {name} is planned for the week of 2027-03-15",
        f"{name} is planned for 2027-03-19 (was 2027-W11)",
        f"{name} moves to Istanbul (TUR) (was without a place)",
        f"{name} is postponed to 2027-03-26 (was planned for 2027-03-19)",
        f"{name} is cancelled (was postponed)",
    ]


def test_who_stays_away() -> None:
    """The headline names who left."""
    register = Register()
    register.observe(
        summit_event("a", "2027-03-09", ["EU", "LTU", "ALB", "SRB"], date="2027-04-22")
    )
    alert = register.observe(
        summit_event("b", "2027-04-20", ["SRB"], status="cancelled", date="2027-04-22")
    ).alert
    assert alert
    assert headline(alert).endswith("is now without Serbia")


def test_a_paragraph_has_evidence_and_source() -> None:
    """Four lines: what is new, the state, the sentence, the article."""
    for alert in perfect_alerts():
        head, state, evidence, source = lines(alert)
        assert head
        assert alert.summit.status in state
        assert alert.event.evidence.text in evidence
        assert alert.event.article.published_at in source


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), True),
        (Wanted(participants=("ALB", "SRB")), True),
        (Wanted(participants=("ALB",)), False),
        (Wanted(places=("Istanbul",)), True),
        (Wanted(places=("TUR",)), True),
        (Wanted(places=("Sarajevo",)), False),
        (Wanted(statuses=("cancelled",)), False),
        (Wanted(statuses=("planned",), modes=("summit",)), True),
        (Wanted(modes=("meeting",)), False),
    ],
)
def test_filters(wanted: Wanted, *, expected: bool) -> None:
    """Each filter must be met; an empty one is."""
    event = summit_event("a", "2027-03-04", date="2027-03-19", place="Istanbul")
    alert = Register().observe(event).alert
    assert alert
    assert wanted.takes(alert) is expected
