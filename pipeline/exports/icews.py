"""ICEWS's event table: 20 tab-separated columns with a header, a row a pair.

ICEWS's Story ID is a number for the article: here it is one made of the article's id. District and
Province are not known; Sentence Number is empty, as a record tells where its sentence begins and
not how many come before it.
"""

from __future__ import annotations

from typing import Final

from pipeline import reference
from pipeline.exports.dyads import Dyad, day, degrees, dyads, row
from pipeline.exports.parties import Codes
from pipeline.records import DiplomaticEvent, Party
from pipeline.stages.gazetteer import country_names
from pipeline.stories.identity import digest

COLUMNS: Final = (
    "Event ID", "Event Date", "Source Name", "Source Sectors", "Source Country", "Event Text",
    "CAMEO Code", "Intensity", "Target Name", "Target Sectors", "Target Country", "Story ID",
    "Sentence Number", "Publisher", "City", "District", "Province", "Country", "Latitude",
    "Longitude",
)  # fmt: skip
HEADER: Final = row(list(COLUMNS))
_STORY_DIGITS: Final = 12  # 48 bits: ICEWS's own are eight decimal digits


def lines(event: DiplomaticEvent, codes: Codes) -> list[bytes]:
    """The event as a row a pair."""
    return [_row(event, dyad, codes) for dyad in dyads(event)]


def _row(event: DiplomaticEvent, dyad: Dyad, codes: Codes) -> bytes:
    values = {
        "Event ID": str(dyad.id),
        "Event Date": day(event).isoformat(),
        **_actor("Source", dyad.source, codes),
        "Event Text": reference.table("exports.toml")["cameo"][dyad.cameo],
        "CAMEO Code": dyad.cameo,
        "Intensity": f"{dyad.goldstein:.1f}",
        **_actor("Target", dyad.target, codes),
        "Story ID": str(int(digest(event.article.id)[:_STORY_DIGITS], 16)),
        "Publisher": event.article.source or "",
        **_place(event),
    }
    return row([values.get(column, "") for column in COLUMNS])


def _actor(side: str, party: Party | None, codes: Codes) -> dict[str, str]:
    if party is None:
        return {}
    coded = codes(party)
    sector = coded.code if coded.organisation else coded.sector
    return {
        f"{side} Name": party.name,
        f"{side} Sectors": reference.table("exports.toml")["icews_sectors"].get(sector, ""),
        f"{side} Country": coded.country,
    }


def _place(event: DiplomaticEvent) -> dict[str, str]:
    place = event.place
    if not place:
        return {}
    country = country_names().get(place.code, "")
    return {
        "City": "" if place.name == country else place.name,
        "Country": country,
        "Latitude": degrees(place.latitude),
        "Longitude": degrees(place.longitude),
    }
