"""What `kasnec up` says where its output is no terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from pipeline.records import encode
from pipeline.settings import Settings
from pipeline.stories.register import Register
from pipeline.streaming.up import _View
from tests.stories.builders import summit_event


@pytest.fixture
def output() -> io.StringIO:
    """What was printed."""
    return io.StringIO()


@pytest.fixture
def view(output: io.StringIO) -> _View:
    """A view that expects two articles."""
    view = _View(Console(file=output, width=300), Settings(), 2)
    view.expected = {"a", "b"}
    return view


def test_an_event_is_a_line(view: _View, output: io.StringIO) -> None:
    """Type, mode, status, parties, day, place and evidence; nothing of the text is obeyed."""
    event = summit_event("a", "2027-03-04", date="2027-03-19", place="Istanbul")
    hostile = replace(event.evidence, text="Liderët \x1b[31mdo të [bold]takohen")
    message = SimpleNamespace(value=encode(replace(event, evidence=hostile)))
    view.add("events.diplomatic", b"story", message)
    assert output.getvalue().rstrip() == (
        "CONSULT/summit planned: TUR, SRB, BIH on 2027-03-19 in Istanbul · "
        "Liderët \\x1b[31mdo të [bold]takohen"
    )


def test_dead_letters_are_counted_by_reason(view: _View, output: io.StringIO) -> None:
    """A seed that is a dead letter is done, but not well: the summary says where to look."""
    annotated = b'{"article": {"id": "a"}}'
    view.add("articles.annotated", b"a", SimpleNamespace(value=annotated))
    done = [view.done]
    headers = [("reason", b"unsupported-language")]
    view.add("articles.dead-letter", b"b", SimpleNamespace(value=b"", headers=headers))
    done.append(view.done)
    assert done == [False, True]
    assert not view.complete
    view.summarise()
    assert output.getvalue().splitlines() == [
        (
            "2 of 2 articles processed, 0 events, 0 summit alerts, 1 dead letters, "
            "0 rejected by the replay."
        ),
        "  dead letter, unsupported-language: 1",
        "See `kasnec dead-letters list`.",
    ]


def test_an_alert_is_a_line(view: _View, output: io.StringIO) -> None:
    """Its headline, and nothing of the text is obeyed."""
    event = summit_event("a", "2027-03-04", date="2027-03-19", place="Istanbul")
    alert = Register().observe(event).alert
    assert alert
    hostile = replace(alert, summit=replace(alert.summit, name="\x1b[31mBalkan summit"))
    view.add("alerts.summits", b"id", SimpleNamespace(value=encode(hostile)))
    assert output.getvalue() == (
        "ALERT New summit: \\x1b[31mBalkan summit is planned for 2027-03-19\n"
    )
