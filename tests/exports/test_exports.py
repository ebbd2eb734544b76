"""Events in the formats of PLOVER, GDELT and ICEWS: columns, pairs, codes, days."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import orjson
import pytest

from pipeline import reference
from pipeline.exports import FORMATS, gdelt, icews, plover
from pipeline.exports.dyads import day, dyads
from pipeline.exports.parties import Codes
from pipeline.records import (
    EVENT_TYPES,
    MODES,
    STATUSES,
    DiplomaticEvent,
    EntityType,
    EventType,
    Mode,
    Party,
    Status,
)
from pipeline.stages.codes import codes
from tests.stories.builders import summit_event
from tests.stories.stream2027 import perfect_events

# GDELT Event Database, Data Format Codebook v2.0, in its order.
GDELT_COLUMNS = """
GLOBALEVENTID SQLDATE MonthYear Year FractionDate
Actor1Code Actor1Name Actor1CountryCode Actor1KnownGroupCode Actor1EthnicCode Actor1Religion1Code
Actor1Religion2Code Actor1Type1Code Actor1Type2Code Actor1Type3Code
Actor2Code Actor2Name Actor2CountryCode Actor2KnownGroupCode Actor2EthnicCode Actor2Religion1Code
Actor2Religion2Code Actor2Type1Code Actor2Type2Code Actor2Type3Code
IsRootEvent EventCode EventBaseCode EventRootCode QuadClass GoldsteinScale
NumMentions NumSources NumArticles AvgTone
Actor1Geo_Type Actor1Geo_FullName Actor1Geo_CountryCode Actor1Geo_ADM1Code Actor1Geo_ADM2Code
Actor1Geo_Lat Actor1Geo_Long Actor1Geo_FeatureID
Actor2Geo_Type Actor2Geo_FullName Actor2Geo_CountryCode Actor2Geo_ADM1Code Actor2Geo_ADM2Code
Actor2Geo_Lat Actor2Geo_Long Actor2Geo_FeatureID
ActionGeo_Type ActionGeo_FullName ActionGeo_CountryCode ActionGeo_ADM1Code ActionGeo_ADM2Code
ActionGeo_Lat ActionGeo_Long ActionGeo_FeatureID
DATEADDED SOURCEURL
""".split()  # noqa: SIM905 - as the codebook lists them

# The header of ICEWS's yearly files on Dataverse.
ICEWS_HEADER = (
    b"Event ID\tEvent Date\tSource Name\tSource Sectors\tSource Country\tEvent Text\tCAMEO Code"
    b"\tIntensity\tTarget Name\tTarget Sectors\tTarget Country\tStory ID\tSentence Number"
    b"\tPublisher\tCity\tDistrict\tProvince\tCountry\tLatitude\tLongitude\n"
)

# PLOVER manual 0.7b1, table "PLOVER JSON", and what it allows beside: fields of our own.
PLOVER_FIELDS = {
    "id", "has_event", "date", "time", "enddate", "endtime", "source", "recipient", "event",
    "event_loc", "event_text", "quad_code", "event_scale", "mode", "context", "link", "text",
    "text_info", "cite_info", "coder", "coded_date", "coded_time", "comment",
}  # fmt: skip
PLOVER_ACTOR = {
    "code", "sector", "actor_text", "identifier_id", "identifier_text", "actor_loc", "religion",
    "ethnicity", "office", "gender", "age",
}  # fmt: skip


def party(
    code: str, name: str = "", role: str | None = None, kind: EntityType | None = "LOC"
) -> Party:
    """A party of an event."""
    return Party(
        text=name or code, name=name or code, code=code, kind=kind, role=role, start=0, end=1
    )


def event(
    type_: EventType = "CONSULT",
    mode: Mode | None = "meeting",
    status: Status = "actual",
    *,
    actors: tuple[Party, ...] = (party("XKX", "Kosovo"), party("SRB", "Serbia")),
    recipients: tuple[Party, ...] = (),
    date: str | None = "2027-03-01",
    place: str | None = None,
) -> DiplomaticEvent:
    """An event of an article of 8 March 2027, with its codes."""
    made = summit_event("a1", "2027-03-08", status=status, date=date, place=place)
    return replace(
        made,
        type=type_,
        mode=mode if type_ == "CONSULT" else None,
        actors=actors,
        recipients=recipients,
        codes=codes(type_, mode if type_ == "CONSULT" else None, status),
    )


def gdelt_rows(made: DiplomaticEvent, kosovo: str = "KSV") -> list[dict[str, str]]:
    """The rows by column."""
    lines = [line.decode().rstrip("\n").split("\t") for line in gdelt.lines(made, Codes(kosovo))]
    return [dict(zip(gdelt.COLUMNS, line, strict=True)) for line in lines]


def icews_rows(made: DiplomaticEvent) -> list[dict[str, str]]:
    """The rows by column."""
    lines = [line.decode().rstrip("\n").split("\t") for line in icews.lines(made, Codes())]
    return [dict(zip(icews.COLUMNS, line, strict=True)) for line in lines]


def plover_record(made: DiplomaticEvent, kosovo: str = "XKX") -> dict[str, Any]:
    """The one object."""
    (line,) = plover.lines(made, Codes(kosovo))
    record: dict[str, Any] = orjson.loads(line)
    return record


def test_columns_are_those_of_the_codebooks() -> None:
    """61 columns without a header, and 20 with one."""
    assert list(gdelt.COLUMNS) == GDELT_COLUMNS
    assert len(GDELT_COLUMNS) == 61
    assert FORMATS["gdelt"][0] is None
    assert FORMATS["icews"][0] == ICEWS_HEADER


TRIPLES = [
    (kind, mode, status)
    for kind, status in product(EVENT_TYPES, STATUSES)
    for mode in (MODES if kind == "CONSULT" else (None,))
]


def test_every_kind_of_event_can_be_written() -> None:
    """Every type, mode and status, with and without recipients, parties and a place."""
    for kind, mode, status in TRIPLES:
        for actors in ((), (party("XKX"),), (party("XKX"), party("EU", "European Union", None))):
            made = event(kind, mode, status, actors=actors, recipients=actors[1:], place="Skopje")
            assert all(row["Event Text"] for row in icews_rows(made))
            assert {row["EventRootCode"] for row in gdelt_rows(made)} == {made.codes.cameo[:2]}
            assert plover_record(made)["event"] == [made.codes.plover]


def test_names_of_cameo_are_complete_and_no_more() -> None:
    """Every code that a record or a pair can have has its words."""
    tables = reference.table("codes.toml"), reference.table("exports.toml")
    back = {code for code, _ in tables[1]["reciprocal"].values()}
    assert set(tables[1]["cameo"]) == set(tables[0]["goldstein"]) | back


def test_what_is_done_together_is_a_pair_each_way() -> None:
    """Three at a table are six pairs; two of one state are none where others are there."""
    hoti, thaci = party("XKX", "A", "prime minister", "PER"), party("XKX", "B", "president", "PER")
    made = event("CONSULT", "meeting", actors=(hoti, party("SRB"), party("EU")))
    pairs = [(d.source and d.source.code, d.target and d.target.code) for d in dyads(made)]
    assert len(set(pairs)) == len(pairs) == 6
    assert len(dyads(event(actors=(hoti, thaci, party("SRB"))))) == 4
    assert len(dyads(event(actors=(hoti, thaci)))) == 2


def test_one_towards_others_is_a_pair_each() -> None:
    """Two who accuse one are two pairs, none back; who accuses nobody named has no target."""
    two = event("ACCUSE", actors=(party("USA"), party("FRA")), recipients=(party("RUS"),))
    assert [(row["Actor1Code"], row["Actor2Code"]) for row in gdelt_rows(two)] == [
        ("USA", "RUS"),
        ("FRA", "RUS"),
    ]
    alone = gdelt_rows(event("ACCUSE", actors=(party("USA"), party("FRA"))))
    assert [(row["Actor1Code"], row["Actor2Code"]) for row in alone] == [("USA", ""), ("FRA", "")]
    nobody = gdelt_rows(event("SANCTION", actors=(), recipients=(party("IRN"),)))
    assert [(row["Actor1Code"], row["Actor2Code"]) for row in nobody] == [("", "IRN")]


def test_a_visit_has_its_host() -> None:
    """042 from the guest, 043 from the host, each with its own value."""
    rows = icews_rows(event("CONSULT", "visit", actors=(party("ALB"),), recipients=(party("XKX"),)))
    assert [(r["Source Country"], r["CAMEO Code"], r["Intensity"]) for r in rows] == [
        ("Albania", "042", "1.9"),
        ("Kosovo", "043", "2.8"),
    ]


def test_ids_are_stable_unique_and_fit_readers() -> None:
    """The same event gives the same ids; pairs and events differ; signed 64 bits hold them."""
    ids = [dyad.id for made in perfect_events() for dyad in dyads(made)]
    assert ids == [dyad.id for made in perfect_events() for dyad in dyads(made)]
    assert len(set(ids)) == len(ids) > 100
    assert all(0 < number < 2**63 for number in ids)


@pytest.mark.parametrize(
    ("status", "date", "expected"),
    [
        ("actual", "2027-03-01", "2027-03-01"),
        ("planned", "2027-04-20", "2027-03-08"),
        ("denied", "2027-03-01", "2027-03-08"),
        ("actual", "2027-W08", "2027-03-08"),
        ("actual", None, "2027-03-08"),
    ],
)
def test_the_day_is_that_of_the_act_or_of_its_report(
    status: Status, date: str | None, expected: str
) -> None:
    """What was done has its own day; what is only said, or has no exact day, the article's."""
    made = event(status=status, date=date)
    assert day(made).isoformat() == expected
    assert gdelt_rows(made)[0]["SQLDATE"] == expected.replace("-", "")
    assert icews_rows(made)[0]["Event Date"] == expected


@pytest.mark.parametrize(
    ("date", "begin", "end"),
    [
        ("2027-W08", "2027-02-22", "2027-02-28"),
        ("2027-02", "2027-02-01", "2027-02-28"),
        ("2026", "2026-01-01", "2026-12-31"),
        ("2027-03-01", "2027-03-01", None),
    ],
)
def test_plover_closes_a_span_of_days(date: str, begin: str, end: str | None) -> None:
    """A week, a month or a year has its first day and its last."""
    record = plover_record(event(date=date))
    assert (record["date"], record.get("enddate")) == (begin, end)


def test_plover_has_its_own_fields() -> None:
    """The names of the manual, our own kept apart, and no text that is not ours."""
    hoti = party("XKX", "Avdullah Hoti", "prime minister", "PER")
    record = plover_record(event("CONSULT", "call", actors=(hoti, party("EU", "European Union"))))
    assert set(record) - PLOVER_FIELDS == {"kasnec"}
    assert "text" not in record
    assert all(set(actor) <= PLOVER_ACTOR for actor in record["source"])
    assert record["source"] == [
        {"code": "XKX", "sector": "GOV", "actor_text": "Avdullah Hoti",
         "identifier_text": "Avdullah Hoti", "office": "prime minister"},
        {"code": "IGO", "actor_text": "European Union", "identifier_id": "EU",
         "identifier_text": "European Union"},
    ]  # fmt: skip
    assert record["mode"] == ["phone"]
    planned = plover_record(event("CONSULT", "call", "planned"))
    assert (planned["event"], planned["context"]) == (["AGREE"], ["future"])
    assert "mode" not in planned


@pytest.mark.parametrize("carried", ["XKX", "XKK", "KSV", "KOS"])
def test_kosovo_has_the_code_that_is_asked_for(carried: str) -> None:
    """Whatever code the records carry."""
    made = event("ACCUSE", actors=(party(carried),), recipients=(party("SRB"),))
    assert plover_record(made, "KOS")["source"][0]["code"] == "KOS"
    (row,) = gdelt_rows(made)
    assert (row["Actor1CountryCode"], row["Actor1Name"]) == ("KSV", carried)
    assert icews_rows(made)[0]["Source Country"] == "Kosovo"


def test_codes_of_gdelt() -> None:
    """CAMEO's own code for a country, a known group, FIPS for a place."""
    actors = (party("ROU", "Romania"),)
    made = event("ACCUSE", actors=actors, recipients=(party("NATO", "NATO"),), place="Sarajevo")
    (row,) = gdelt_rows(made)
    assert (row["Actor1Code"], row["Actor2Code"]) == ("ROM", "IGONAT")
    assert (row["Actor2KnownGroupCode"], row["Actor2Type1Code"]) == ("NAT", "IGO")
    assert row["ActionGeo_FullName"] == "Sarajevo, Bosnia and Herzegovina"
    assert (row["ActionGeo_Type"], row["ActionGeo_CountryCode"]) == ("4", "BK")
    assert row["DATEADDED"] == "20270308070000"
    country = replace(made.place, name="Turkey", code="TUR") if made.place else None
    (row,) = gdelt_rows(replace(made, place=country))
    assert (row["ActionGeo_Type"], row["ActionGeo_FeatureID"]) == ("1", "TU")


@pytest.mark.parametrize(
    ("role", "kind", "name", "sector"),
    [
        (None, "LOC", "France", ""),
        ("president", "PER", "A", "GOV"),
        (None, "PER", "A", "GOV"),
        ("former prime minister", "PER", "A", "ELI"),
        ("speaker of parliament", "PER", "A", "LEG"),
        ("secretary general", "PER", "A", "GOV"),
        ("general", "PER", "A", "MIL"),
        ("opposition leader", "PER", "A", "OPP"),
        ("party leader", "PER", "A", "PTY"),
        ("prosecutor", "PER", "A", "JUD"),
        (None, "ORG", "Ministry of Foreign Affairs of France", "GOV"),
        (None, "ORG", "Parliament of France", "LEG"),
    ],
)
def test_sectors(role: str | None, kind: EntityType, name: str, sector: str) -> None:
    """Whom of the state a party is."""
    assert Codes()(party("FRA", name, role, kind)).sector == sector


def test_tables_name_known_organisations() -> None:
    """No code that the organisations do not have."""
    table, known = reference.table("exports.toml"), reference.table("organisations.toml")
    assert set(table["groups"]) <= set(known)
    assert {code for codes in table["kinds"].values() for code in codes} <= set(known)


def test_nobody_known_is_empty() -> None:
    """UNK is no country: no code, no sector, the name as it stands."""
    unknown = party("UNK", "sides", None, None)
    made = event("ACCUSE", actors=(unknown,), recipients=(party("SRB"),))
    (row,) = gdelt_rows(made)
    assert (row["Actor1Code"], row["Actor1Name"]) == ("", "SIDES")


def test_hostile_text_stays_in_its_cell() -> None:
    """Tabs and line breaks in a name, an outlet or an address add no cell and no row."""
    bad = "A\tB\nC\r\u2028D"
    made = event("ACCUSE", actors=(party("FRA", bad),), recipients=(party("SRB"),))
    made = replace(made, article=replace(made.article, source=bad, url=bad))
    assert gdelt_rows(made)[0]["SOURCEURL"] == "A B C  D"
    assert icews_rows(made)[0]["Source Name"] == "A B C  D"
    assert plover_record(made)["source"][0]["identifier_text"] == bad
