"""The store, in SQLite and in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, select, text

from pipeline.errors import ConfigurationError, StoreUnavailable
from pipeline.records import DiplomaticEvent, RawArticle, SummitAlert, encode
from pipeline.store import database, tables
from pipeline.store.reading import Store
from pipeline.store.writing import Batch, folded, forget_articles, write
from pipeline.stories.entries import Entry
from pipeline.stories.register import Register
from tests.stories.builders import summit_event

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def batch(
    events: Sequence[DiplomaticEvent] = (),
    *,
    articles: Sequence[RawArticle] = (),
    summits: Sequence[Entry] = (),
    closed: Sequence[str] = (),
    alerts: Sequence[SummitAlert] = (),
) -> Batch:
    """A batch of these."""
    return Batch(
        articles={article.id: article for article in articles},
        events={event.event_id: event for event in events},
        summits={entry.summit_id: entry for entry in summits},
        closed=closed,
        alerts={alert.alert_id: (alert, NOW) for alert in alerts},
    )


def count(engine: Engine, table: str) -> int:
    """Rows of a table."""
    with engine.connect() as connection:
        return connection.execute(
            select(func.count()).select_from(tables.metadata.tables[table])
        ).scalar_one()


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    """What Alembic would still change is nothing."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []


def test_several_may_migrate_at_once(store_url: str) -> None:
    """Sinks that start together do not step on each other."""
    failures: list[Exception] = []

    def migrate() -> None:
        engine = database.connect(store_url)
        try:
            database.migrate(engine)
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_kasnec_is_left_alone(engine: Engine) -> None:
    """An old sink must not write into tables that it does not know."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer Kasnec"):
        database.migrate(engine)


def test_writing_the_same_again_changes_nothing(engine: Engine) -> None:
    """Redelivery and replay leave no second row and no new number."""
    events = [summit_event(f"a{n}", "2027-03-01") for n in range(3)]
    assert write(engine, batch(events), now=NOW) == 3
    seq = Store(engine).changes(0).events
    assert write(engine, batch(events), now=NOW + timedelta(days=1)) == 0
    assert Store(engine).changes(0).events == seq
    assert count(engine, "events") == 3
    assert count(engine, "event_parties") == 9
    assert count(engine, "stories") == 1


def test_a_record_comes_out_as_it_went_in(engine: Engine) -> None:
    """To the byte, whatever the text is."""
    event = summit_event("a", "2027-03-01", text="Ura “Ibër” 🌉 \u202e ‘x’\\ë", place="Skopje")
    write(engine, batch([event]), now=NOW)
    assert list(Store(engine).records([event.event_id, "none"])) == [encode(event).decode()]


def test_an_event_that_is_coded_anew_takes_the_place_of_the_old(engine: Engine) -> None:
    """Its parties, its words and the counts of both stories follow."""
    old = replace(summit_event("a", "2027-03-01"), story_id="s1")
    other = replace(summit_event("b", "2027-03-02"), story_id="s1")
    new = replace(summit_event("a", "2027-03-01", ["ALB"], status="cancelled"), story_id="s2")
    write(engine, batch([old, other]), now=NOW)
    before = Store(engine).seq()
    write(engine, batch([new]), now=NOW)
    store = Store(engine)
    assert [id_ for _, id_ in store.changes(before).events] == [new.event_id]
    assert store.parties([new.event_id]) == [(new.event_id, "actor", "ALB")]
    counts = {id_: store.story(id_) for id_ in ("s1", "s2")}
    assert {id_: row and (row.events, row.status) for id_, row in counts.items()} == {
        "s1": (1, "planned"),
        "s2": (1, "cancelled"),
    }


def test_a_story_that_lost_its_last_event_is_gone(engine: Engine) -> None:
    """Nobody is shown a story without reports."""
    write(engine, batch([replace(summit_event("a", "2027-03-01"), story_id="s1")]), now=NOW)
    write(engine, batch([replace(summit_event("a", "2027-03-01"), story_id="s2")]), now=NOW)
    assert Store(engine).story("s1") is None


def test_a_story_counts_its_reports_and_says_what_the_newest_says(engine: Engine) -> None:
    """Sources and articles are counted once each."""
    events = [
        summit_event("a", "2027-03-01T09:00:00+01:00"),
        summit_event("a", "2027-03-01T09:00:00+01:00", text="Një tjetër.", at=50),
        summit_event("b", "2027-03-03T09:00:00+01:00", status="cancelled"),
    ]
    write(engine, batch(events), now=NOW)
    row = Store(engine).story("0" * 32)
    assert row is not None
    assert (row.events, row.articles, row.sources, row.status) == (3, 2, 1, "cancelled")
    assert row.first_published == datetime(2027, 3, 1, 8, tzinfo=UTC)
    assert row.last_published == datetime(2027, 3, 3, 8, tzinfo=UTC)


def test_summits_and_alerts_are_kept_with_their_life(engine: Engine) -> None:
    """A summit is written over, its alerts stay, and one let go of is only closed."""
    register = Register()
    seen = [
        register.observe(summit_event("a", "2027-03-01", date="2027-03-20", place="Istanbul")),
        register.observe(
            summit_event("b", "2027-03-02", date="2027-03-20", place="Istanbul", status="cancelled")
        ),
    ]
    for one in seen:
        assert one.entry
        assert one.alert
        write(engine, batch(summits=[one.entry], alerts=[one.alert]), now=NOW)
    store = Store(engine)
    (row,) = store.summits(limit=10)
    assert (row.status, row.day_from, row.open) == ("cancelled", date(2027, 3, 20), True)
    assert len(store.alerts_of(row.summit_id)) == 2
    assert store.summits(parties=["SRB"], places=["TUR"], first=date(2027, 3, 20), limit=10)
    assert not store.summits(first=date(2027, 3, 21), limit=10)
    assert not store.summits(statuses=["planned"], limit=10)
    write(engine, batch(closed=[row.summit_id, "unknown"]), now=NOW)
    assert [summit.open for summit in store.summits(limit=10)] == [False]
    assert store.summits(open_=True, limit=10) == []


def test_search_minds_neither_case_nor_diacritics(engine: Engine) -> None:
    """And takes what has a meaning in SQL for what it is."""
    event = summit_event("a", "2027-03-01", text="Kryeministri i Shqipërisë fitoi 100% të votave.")
    write(engine, batch([event]), now=NOW)
    store = Store(engine)
    assert store.search("SHQIPERISE") == [event.event_id]
    assert store.search("100%") == [event.event_id]
    assert store.search("1_0") == []
    assert folded("Çështje") == "ceshtje"


def test_texts_are_forgotten_when_their_time_is_over(engine: Engine) -> None:
    """Events stay."""
    article = RawArticle(id="a", title="T", body="B", published_at="2027-03-01T09:00:00+01:00")
    write(engine, batch([summit_event("a", "2027-03-01")], articles=[article]), now=NOW)
    assert forget_articles(engine, before=NOW) == 0
    assert Store(engine).article("a")
    assert forget_articles(engine, before=NOW + timedelta(seconds=1)) == 1
    assert Store(engine).article("a") is None
    assert count(engine, "events") == 1


def test_changes_are_seen_in_the_order_of_their_numbers(engine: Engine) -> None:
    """With several writers at once, a reader that goes on from the highest number misses none."""
    writers = [
        threading.Thread(
            target=lambda w=w: [
                write(engine, batch([summit_event(f"{w}-{n}", "2027-03-01")]), now=NOW)
                for n in range(10)
            ]
        )
        for w in range(4)
    ]
    store, seen, last = Store(engine), set(), 0
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers) or store.seq() > last:
        changes = store.changes(last)
        seen |= {id_ for _, id_ in changes.events}
        last = max([last, *(seq for seq, _ in changes.events)])
    assert len(seen) == 40
    assert last == store.seq()


def test_a_failed_batch_leaves_no_trace(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it or nothing."""

    def fail(*_: object) -> int:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("pipeline.store.writing._alerts", fail)
    with pytest.raises(RuntimeError):
        write(engine, batch([summit_event("a", "2027-03-01")]), now=NOW)
    assert count(engine, "events") == 0


def test_a_store_without_tables_says_who_makes_them(store_url: str) -> None:
    """The dashboard may start before the sink."""
    engine = database.connect(store_url)
    with pytest.raises(StoreUnavailable, match="kasnec store"):
        Store(engine).seq()
    engine.dispose()


def test_a_database_that_is_down_is_unavailable() -> None:
    """Nothing listens on port 1."""
    engine = database.connect("postgresql://kasnec:geheim@127.0.0.1:1/kasnec")
    with pytest.raises(StoreUnavailable) as caught:
        Store(engine).seq()
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense:geheim", "mysql://u:geheim@h/d", "sqlite://"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    """And the message says what one looks like."""
    with pytest.raises(ConfigurationError, match=r"store\.url") as caught:
        database.connect(url)
    assert "geheim" not in str(caught.value)
