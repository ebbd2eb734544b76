"""GDELT 2.0's event table: 61 tab-separated columns, no header, a row a pair.

What GDELT measures over all its sources is not known of one article: NumMentions, NumSources and
NumArticles are 1, AvgTone and the actors' own places are empty. EventCode and its Goldstein value
are the record's. IsRootEvent is 1 where the title or the first sentence states the event. We know
no GNS features: ActionGeo_FeatureID is empty but for countries.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pipeline import reference
from pipeline.exports.dyads import Dyad, day, degrees, dyads, row
from pipeline.exports.parties import Codes
from pipeline.records import DiplomaticEvent, Party
from pipeline.stages.gazetteer import country_names

_ACTOR: Final = (
    "Code", "Name", "CountryCode", "KnownGroupCode", "EthnicCode", "Religion1Code",
    "Religion2Code", "Type1Code", "Type2Code", "Type3Code",
)  # fmt: skip
_GEO: Final = (
    "Type", "FullName", "CountryCode", "ADM1Code", "ADM2Code", "Lat", "Long", "FeatureID",
)  # fmt: skip
COLUMNS: Final = (
    "GLOBALEVENTID", "SQLDATE", "MonthYear", "Year", "FractionDate",
    *(f"Actor1{name}" for name in _ACTOR),
    *(f"Actor2{name}" for name in _ACTOR),
    "IsRootEvent", "EventCode", "EventBaseCode", "EventRootCode", "QuadClass", "GoldsteinScale",
    "NumMentions", "NumSources", "NumArticles", "AvgTone",
    *(f"Actor1Geo_{name}" for name in _GEO),
    *(f"Actor2Geo_{name}" for name in _GEO),
    *(f"ActionGeo_{name}" for name in _GEO),
    "DATEADDED", "SOURCEURL",
)  # fmt: skip
# GDELT's ActionGeo_Type.
_COUNTRY, _CITY = "1", "4"


def lines(event: DiplomaticEvent, codes: Codes) -> list[bytes]:
    """The event as a row a pair."""
    return [_row(event, dyad, codes) for dyad in dyads(event)]


def _row(event: DiplomaticEvent, dyad: Dyad, codes: Codes) -> bytes:
    when = day(event)
    # GDELT's own definition of the fraction.
    fraction = when.year + (when.month * 30 + when.day) / 365
    added = datetime.fromisoformat(event.article.published_at).astimezone(UTC)
    lead = len(event.article.title) + 2  # where the body begins
    values = {
        "GLOBALEVENTID": str(dyad.id),
        "SQLDATE": when.strftime("%Y%m%d"),
        "MonthYear": when.strftime("%Y%m"),
        "Year": when.strftime("%Y"),
        "FractionDate": f"{fraction:.4f}",
        **_actor("Actor1", dyad.source, codes),
        **_actor("Actor2", dyad.target, codes),
        "IsRootEvent": "1" if event.evidence.start <= lead else "0",
        "EventCode": dyad.cameo,
        "EventBaseCode": dyad.cameo[:3],
        "EventRootCode": dyad.cameo[:2],
        "QuadClass": str(event.codes.quad_class),
        "GoldsteinScale": str(dyad.goldstein),
        "NumMentions": "1",
        "NumSources": "1",
        "NumArticles": "1",
        "Actor1Geo_Type": "0",
        "Actor2Geo_Type": "0",
        **_place(event),
        "DATEADDED": added.strftime("%Y%m%d%H%M%S"),
        "SOURCEURL": event.article.url or "",
    }
    return row([values.get(column, "") for column in COLUMNS])


def _actor(prefix: str, party: Party | None, codes: Codes) -> dict[str, str]:
    if party is None:
        return {}
    coded = codes(party)
    if coded.organisation:
        code = coded.cameo_type + coded.cameo_group
    else:
        code = coded.cameo_country + coded.cameo_type
    name = coded.country if party.role and coded.country else party.name
    return {
        f"{prefix}Code": code,
        f"{prefix}Name": name.upper(),
        f"{prefix}CountryCode": coded.cameo_country,
        f"{prefix}KnownGroupCode": coded.cameo_group,
        f"{prefix}Type1Code": coded.cameo_type,
    }


def _place(event: DiplomaticEvent) -> dict[str, str]:
    place = event.place
    if not place:
        return {"ActionGeo_Type": "0"}
    country = country_names().get(place.code, "")
    # GDELT's places have FIPS 10-4 codes.
    fips = reference.states("fips").get(place.code, "")
    is_country = place.name == country
    return {
        "ActionGeo_Type": _COUNTRY if is_country else _CITY,
        "ActionGeo_FullName": place.name
        if is_country or not country
        else f"{place.name}, {country}",
        "ActionGeo_CountryCode": fips,
        "ActionGeo_ADM1Code": fips,
        "ActionGeo_Lat": degrees(place.latitude),
        "ActionGeo_Long": degrees(place.longitude),
        "ActionGeo_FeatureID": fips if is_country else "",
    }
