"""Repeated statements of one event become one record, distinct events stay apart."""

from __future__ import annotations

from pipeline.records import EntityType, EventDate, EventType, Mode, Party, Status
from pipeline.stages.merge import merge
from pipeline.stages.values import CodedEvent, Detection


def party(code: str, kind: EntityType = "LOC") -> Party:
    """A party known by its code alone."""
    return Party(text=code, name=code, code=code, kind=kind, role=None, start=None, end=None)


def event(
    sentence: int,
    codes: str,
    *,
    kind: EventType = "CONSULT",
    mode: Mode | None = None,
    status: Status = "planned",
    date: str | None = None,
    confidence: float = 0.5,
) -> CodedEvent:
    """A statement in a sentence, with the codes of its actors."""
    found = Detection(kind, mode, status, sentence, sentence * 100, sentence * 100 + 5, confidence)
    when = EventDate(value=date, granularity="day", text=date) if date else None
    return CodedEvent(found, tuple(party(code) for code in codes.split()), (), when, None)


def test_repeated_statement_is_one_record() -> None:
    """A second sentence about the same meeting goes to `also`."""
    (record,) = merge([event(1, "ALB ITA"), event(2, "ALB")])
    assert record.detection.sentence == 1
    assert record.detection.also == (2,)


def test_fuller_statement_is_the_evidence() -> None:
    """The statement that names more parties is kept, wherever it stands, title included."""
    (record,) = merge([event(0, "ALB", confidence=0.9), event(1, "ALB"), event(3, "ALB ITA GRC")])
    assert record.detection.sentence == 3
    assert record.detection.also == (0, 1)
    assert record.detection.confidence == 0.9


def test_title_alone_is_evidence() -> None:
    """Where only the title states an event, it is the evidence."""
    (record,) = merge([event(0, "ALB")])
    assert record.detection.sentence == 0


def test_title_repeats_whatever_its_status() -> None:
    """A title in the newspaper's present tense joins the planned event of the body."""
    (record,) = merge([event(0, "ALB", status="actual"), event(1, "ALB ITA")])
    assert record.detection.status == "planned"


def test_planned_and_held_are_two() -> None:
    """A planned meeting and an earlier one that was held are two records."""
    assert len(merge([event(1, "ALB ITA"), event(2, "ALB ITA", status="actual")])) == 2


def test_types_are_not_merged() -> None:
    """Two types are two events, in one sentence too."""
    assert len(merge([event(1, "ALB"), event(1, "ALB", kind="ACCUSE")])) == 2


def test_other_parties_are_another_event() -> None:
    """Statements without a party in common stay apart."""
    assert len(merge([event(1, "ALB ITA"), event(2, "FRA DEU")])) == 2


def test_unresolved_parties_do_not_separate() -> None:
    """UNK or no party at all is compatible with every party, and is no party in common."""
    (record,) = merge([event(1, "ALB ITA"), event(2, "UNK")])
    assert record.detection.also == (2,)


def test_contradicting_dates_separate() -> None:
    """Meetings on two days are two; a month holds its days."""
    first, second = event(1, "ALB", date="2031-05-03"), event(2, "ALB", date="2031-05-04")
    assert len(merge([first, second])) == 2
    assert len(merge([first, event(2, "ALB", date="2031-05")])) == 1


def test_missing_date_is_taken_over() -> None:
    """The record has the date that only the lesser statement gave."""
    (record,) = merge([event(1, "ALB ITA"), event(2, "ALB", date="2031-05-03")])
    assert record.date is not None
    assert record.date.value == "2031-05-03"


def test_order_of_input_does_not_matter() -> None:
    """Any order of the detections gives the same records."""
    events = [event(4, "ALB"), event(0, "ALB"), event(3, "ALB ITA"), event(9, "ALB")]
    assert merge(events) == merge(events[::-1])
    assert [record.detection.sentence for record in merge(events)] == [3, 9]


def test_nothing_in_nothing_out() -> None:
    """No detections give no records."""
    assert merge([]) == ()
