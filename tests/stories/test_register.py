"""The summit register: one alert a summit, one for each change."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.records import DiplomaticEvent, SummitAlert
from pipeline.stories.register import Register, Rules
from tests.stories.builders import summit_event
from tests.stories.crowd import SUMMITS, crowd
from tests.stories.stream2027 import perfect_events, read


def told(events: Iterable[DiplomaticEvent], register: Register | None = None) -> list[SummitAlert]:
    """The alerts of events in their order."""
    register = Register() if register is None else register
    return [alert for event in events if (alert := register.observe(event).alert)]


def changes(events: Iterable[DiplomaticEvent]) -> list[tuple[str, str]]:
    """(change, status) of the alerts."""
    return [(alert.change, alert.summit.status) for alert in told(events)]


def test_one_new_alert_however_often_it_is_reported() -> None:
    """Reprints, other wording, other days: one summit, its articles counted."""
    register = Register()
    alerts = told(
        [
            summit_event("a", "2027-03-04", date="2027-03-19", place="Istanbul"),
            summit_event("a-reprint", "2027-03-04", date="2027-03-19", place="Istanbul"),
            summit_event(
                "b", "2027-03-06", ["TUR", "SRB"], date="2027-03-19", text="Presin në Stamboll."
            ),
            summit_event("c", "2027-03-12", date="2027-W11", country="TUR"),
        ],
        register,
    )
    assert [alert.change for alert in alerts] == ["new"]
    assert alerts[0].before is None
    (entry,) = register.entries()
    assert entry.summit.articles == 4
    assert {p.name for p in entry.summit.participants} == {
        "Turkey", "Serbia", "Bosnia and Herzegovina"
    }  # fmt: skip


def test_same_participants_other_days_are_two() -> None:
    """The next meeting of the same three, in May and elsewhere, is another summit."""
    alerts = told(
        [
            summit_event("a", "2027-03-19", status="actual", date="2027-03-19", place="Istanbul"),
            summit_event(
                "a", "2027-03-19", status="hypothetical", date="2027-05", place="Sarajevo", at=500
            ),
        ]
    )
    assert [alert.change for alert in alerts] == ["new", "new"]
    assert alerts[0].summit_id != alerts[1].summit_id


def test_same_city_other_participants_are_two() -> None:
    """Two summits in one city within weeks."""
    alerts = told(
        [
            summit_event(
                "a", "2027-03-09", ["EU", "ALB", "SRB"], date="2027-04-22", place="Vilnius"
            ),
            summit_event(
                "b", "2027-04-05", ["LTU", "POL", "ROU"], date="2027-05-11", place="Vilnius"
            ),
        ]
    )
    assert [alert.change for alert in alerts] == ["new", "new"]


def test_a_group_is_its_members() -> None:
    """A mention of the G7 and one of its seven leaders are of one meeting."""
    seven = ["CAN", "DEU", "FRA", "GBR", "ITA", "JPN", "USA"]
    assert changes(
        [
            summit_event("a", "2027-03-08", seven, date="2027-03-11"),
            summit_event("b", "2027-03-09", ["G7"], date="2027-03-11"),
        ]
    ) == [("new", "planned")]


def test_put_off_to_a_day_and_held() -> None:
    """The new day comes with the status; that it will be held that day is a recap; held is news."""
    alerts = told(
        [
            summit_event("a", "2027-03-08", ["G7"], date="2027-03-11"),
            summit_event("b", "2027-03-10", ["G7"], status="postponed", date="2027-03-15"),
            summit_event("c", "2027-03-12", ["G7"], date="2027-03-15"),
            summit_event("d", "2027-03-15", ["G7"], status="actual", date="2027-03-15"),
            summit_event("e", "2027-03-16", ["G7"], status="actual", date="2027-03-15"),
        ]
    )
    assert [(a.change, a.summit.status) for a in alerts] == [
        ("new", "planned"), ("status", "postponed"), ("status", "actual")
    ]  # fmt: skip
    assert alerts[1].summit.date
    assert alerts[1].summit.date.value == "2027-03-15"
    assert alerts[1].before
    assert alerts[1].before.status == "planned"
    assert len({alert.summit_id for alert in alerts}) == 1


@pytest.mark.parametrize("said", [None, "2027-05-20"])
def test_put_off_without_a_day(said: str | None) -> None:
    """No day remains, also where the article repeats the old one."""
    alerts = told(
        [
            summit_event("a", "2027-04-08", date="2027-05-20", place="Sarajevo"),
            summit_event("b", "2027-05-03", status="postponed", date=said, place="Sarajevo"),
        ]
    )
    assert [a.change for a in alerts] == ["new", "status"]
    assert alerts[1].summit.date is None
    assert alerts[1].summit.place


def test_called_off_keeps_its_day_and_is_not_revived_by_a_recap() -> None:
    """Only another day brings it back."""
    alerts = told(
        [
            summit_event("a", "2027-04-05", date="2027-05-11", place="Vilnius"),
            summit_event("b", "2027-04-28", status="cancelled", place="Vilnius"),
            summit_event("c", "2027-05-05", date="2027-05-11", place="Vilnius"),
            summit_event("d", "2027-05-08", date="2027-05-18", place="Vilnius"),
        ]
    )
    assert [(a.change, a.summit.status) for a in alerts] == [
        ("new", "planned"), ("status", "cancelled"), ("status", "planned")
    ]  # fmt: skip
    assert alerts[1].summit.date == alerts[0].summit.date


def test_who_still_names_the_old_day_is_not_up_to_date() -> None:
    """A day that was given up neither moves the summit back nor makes another one."""
    register = Register()
    alerts = told(
        [
            summit_event("a", "2027-03-08", ["G7"], date="2027-03-11"),
            summit_event("b", "2027-03-10", ["G7"], status="postponed", date="2027-03-15"),
            summit_event("c", "2027-03-10T20:00:00+01:00", ["G7"], date="2027-03-11"),
        ],
        register,
    )
    assert [a.change for a in alerts] == ["new", "status"]
    (entry,) = register.entries()
    assert entry.summit == replace(alerts[1].summit, articles=3)


def test_begun_and_held_are_one_change() -> None:
    """That it ended, after that it began, raises nothing."""
    day = "2027-04-22"
    assert changes(
        [
            summit_event("a", "2027-04-20", date=day),
            summit_event("b", f"{day}T10:30:00+02:00", status="ongoing", date=day),
            summit_event("c", f"{day}T18:30:00+02:00", status="actual", date=day),
            summit_event("d", "2027-04-24", status="planned", date=day),
        ]
    ) == [("new", "planned"), ("status", "ongoing")]


def test_what_is_to_come_has_not_happened() -> None:
    """A past tense before its day (a mood, a preparation, a mistake) does not hold the summit."""
    assert changes(
        [
            summit_event("a", "2027-03-12", date="2027-04-14"),
            summit_event("b", "2027-03-30", status="actual"),
            summit_event("c", "2027-04-14", status="actual"),
        ]
    ) == [("new", "planned"), ("status", "actual")]


def test_half_the_company_on_one_day_in_one_city() -> None:
    """One summit there, two where only the day is the same."""
    first = summit_event("a", "2027-04-05", ["POL", "ROU"], date="2027-05-11", place="Vilnius")
    there = summit_event("b", "2027-04-06", ["ROU", "LTU"], date="2027-05-11", place="Vilnius")
    anywhere = summit_event("c", "2027-04-06", ["ROU", "LTU"], date="2027-05-11")
    assert changes([first, there]) == [("new", "planned")]
    assert len(changes([first, anywhere])) == 2


def test_vague_then_exact_then_vague() -> None:
    """An exact day after a month is a change of date; "next month" after it is none."""
    alerts = told(
        [
            summit_event("a", "2027-04-01", date="2027-05"),
            summit_event("b", "2027-04-08", date="2027-05-20"),
            summit_event("c", "2027-04-09", date="2027-05"),
            summit_event("d", "2027-04-10"),
        ]
    )
    assert [a.change for a in alerts] == ["new", "date"]


def test_status_before_place() -> None:
    """A proposal that becomes a plan at a place is told once, with all that is new."""
    alerts = told(
        [
            summit_event("a", "2027-03-02", status="proposed", date="2027-04"),
            summit_event("b", "2027-03-12", date="2027-04-14", place="Podgorica"),
        ]
    )
    assert [a.change for a in alerts] == ["new", "status"]
    assert alerts[1].summit.place
    assert alerts[1].summit.date
    assert alerts[1].summit.date.value == "2027-04-14"


def test_another_place_is_a_change() -> None:
    """Moved to another city; the country alone, later, is vaguer."""
    six = ["MNE", "ALB", "XKX", "MKD", "SRB", "BIH"]
    alerts = told(
        [
            summit_event("a", "2027-03-12", six, date="2027-04-14", place="Podgorica"),
            summit_event("b", "2027-03-30", six, place="Skopje"),
            summit_event("c", "2027-03-31", six, country="MKD"),
        ]
    )
    assert [a.change for a in alerts] == ["new", "place"]
    assert alerts[1].summit.place
    assert alerts[1].summit.place.code == "MKD"


def test_one_stays_away() -> None:
    """An invited party that does not come leaves; the summit is still planned."""
    alerts = told(
        [
            summit_event("a", "2027-03-09", ["EU", "LTU", "ALB", "SRB"], date="2027-04-22"),
            summit_event("b", "2027-04-20", ["SRB"], status="cancelled", date="2027-04-22"),
        ]
    )
    assert [(a.change, a.summit.status) for a in alerts] == [
        ("new", "planned"), ("participants", "planned")
    ]  # fmt: skip
    assert "SRB" not in {p.code for p in alerts[1].summit.participants}


def test_an_older_article_undoes_nothing() -> None:
    """What arrives late counts as a source, and changes nothing."""
    register = Register()
    alerts = told(
        [
            summit_event("b", "2027-04-28", status="cancelled", date="2027-05-11"),
            summit_event("a", "2027-04-05", date="2027-05-11", place="Vilnius"),
        ],
        register,
    )
    assert [a.change for a in alerts] == ["new"]
    (entry,) = register.entries()
    assert entry.summit.status == "cancelled"
    assert entry.summit.articles == 2
    assert entry.summit.first_seen.startswith("2027-04-05")


@pytest.mark.parametrize(
    "event",
    [
        summit_event("a", "2027-04-05", mode="meeting"),
        summit_event("a", "2027-04-05", type_="AGREE", mode=None),
        summit_event("a", "2027-04-05", ["SRB"]),
        summit_event("a", "2027-04-05", ["UNK", "SRB"]),
        summit_event("a", "2027-04-05", status="actual", date="2027-03-19"),
        summit_event("a", "2027-04-05", confidence=0.2),
    ],
    ids=["other mode", "other type", "one party", "unknown party", "long over", "unsure"],
)
def test_opens_no_summit(event: DiplomaticEvent) -> None:
    """What is no summit, or no longer news."""
    assert told([event], Register(Rules(min_confidence=0.5))) == []


def test_a_mere_meeting_may_tell_of_a_known_summit() -> None:
    """A mention in another mode changes the summit where day and participants fit."""
    assert changes(
        [
            summit_event("a", "2027-04-05", date="2027-05-11"),
            summit_event(
                "b", "2027-05-11", status="actual", date="2027-05-11", mode="multilateral"
            ),
        ]
    ) == [("new", "planned"), ("status", "actual")]


def test_alerts_are_told_once_when_the_stream_is_replayed() -> None:
    """A second pass over the same events raises nothing and counts no article twice."""
    register = Register()
    events = list(perfect_events())
    assert told(events, register)
    counted = {entry.summit_id: entry.summit.articles for entry in register.entries()}
    assert told(events, register) == []
    assert {entry.summit_id: entry.summit.articles for entry in register.entries()} == counted


def test_goes_on_from_its_entries() -> None:
    """A register made anew from its entries at any point tells what the first would have told."""
    events = list(perfect_events())
    whole = told(events)
    for cut in range(len(events)):
        first = Register()
        begun = told(events[:cut], first)
        assert begun + told(events[cut:], Register(entries=first.entries())) == whole


def test_the_stream_of_2027_with_perfect_events() -> None:
    """Given right events, the register tells what the stream's truth tells, no more and no less."""
    names: dict[str, str] = {}
    found = []
    register = Register()
    for event, mention in zip(perfect_events(), read("mentions"), strict=True):
        if alert := register.observe(event).alert:
            names.setdefault(alert.summit_id, mention["summit_id"])
            state = alert.summit
            found.append(
                {
                    "article": event.article.id,
                    "summit_id": names[alert.summit_id],
                    "change": alert.change,
                    "status": state.status,
                    "date": state.date.value if state.date else None,
                    "place": state.place.code if state.place else None,
                }
            )
    assert found == read("alerts")


def test_forgets_what_is_over() -> None:
    """Two months after its day a summit is dropped; one without a date rests half a year."""
    register = Register()
    told(
        [
            summit_event("a", "2027-03-04", date="2027-03-19"),
            summit_event("b", "2027-03-04", ["FRA", "DEU", "POL"], status="proposed"),
        ],
        register,
    )
    assert register.forget() == []
    told([summit_event("c", "2027-06-01", ["CHN", "IND", "RUS"])], register)
    assert len(register.forget()) == 1
    told([summit_event("d", "2027-11-01", ["AUS", "JPN", "NZL"])], register)
    assert len(register.forget()) == 1
    assert len(register) == 2
    assert told([summit_event("a", "2027-03-04", date="2027-03-19")], register) == []


def test_the_cost_of_a_mention_does_not_grow_with_mentions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Candidates are the summits near in days and seats, however many others are open."""
    chance = random.Random(4)
    codes = [a + b + c for a in "ABCDE" for b in "ABCDE" for c in "ABCDE"]
    register = Register()
    start = date(2027, 1, 1)
    for number in range(2000):
        day = start + timedelta(days=chance.randrange(360))
        parties = chance.sample(codes, 4)
        register.observe(summit_event(f"n{number}", "2027-01-01", parties, date=day.isoformat()))
    assert len(register) > 1900
    looked = []
    original = register._candidates

    def counting(*args: Any) -> list[str]:
        found = original(*args)
        looked.append(len(found))
        return found

    monkeypatch.setattr(register, "_candidates", counting)
    for number in range(200):
        register.observe(
            summit_event(f"m{number}", "2027-01-02", chance.sample(codes, 4), date="2027-06-15")
        )
    assert sum(looked) / len(looked) < len(register) / 10


def test_a_mention_of_one_among_ten_thousand_open_summits_takes_under_2_ms() -> None:
    """``python -m tests.stories.crowd`` runs the full million."""
    register, mentions = crowd(500)
    assert len(register) == SUMMITS
    events = list(mentions)
    started = time.process_time()
    for event in events:
        register.observe(event)
    assert (time.process_time() - started) / len(events) < 0.002
