"""Parties by PLOVER's actor and sector codes, and by CAMEO's in GDELT."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pipeline import reference
from pipeline.records import Party
from pipeline.stages.gazetteer import KOSOVO, UNKNOWN, country_names

# Any code that records can have for Kosovo (``language.kosovo_code``).
_KOSOVO: Final = frozenset({"XKX", "XKK", "KSV", "KOS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A party in the terms of other data sets; empty where there is nothing to say.

    Attributes:
        code: PLOVER's actor code: ISO 3166-1 alpha-3, or IGO, NGO, IMG.
        country: English name of the state that it acts for.
        organisation: our code of the organisation that it acts for.
        sector: PLOVER's primary sector code of one who acts for a state.
        cameo_country: CAMEO's country code as in GDELT.
        cameo_group: CAMEO's known group as in GDELT.
        cameo_type: CAMEO's type as in GDELT.
    """

    code: str = ""
    country: str = ""
    organisation: str = ""
    sector: str = ""
    cameo_country: str = ""
    cameo_group: str = ""
    cameo_type: str = ""


class Codes:
    """Codes parties.

    Args:
        kosovo: Kosovo's code among the countries; ISO 3166 has none.
    """

    def __init__(self, kosovo: str = KOSOVO) -> None:
        self._kosovo = kosovo

    def __call__(self, party: Party) -> Coded:
        """The party in other terms."""
        code = KOSOVO if party.code in _KOSOVO else party.code
        if code == UNKNOWN:
            return Coded()
        country = country_names().get(code, "")
        if not country:
            return _organisation(code)
        sector = _sector(party)
        table = _table()
        own = self.country(code)
        return Coded(
            code=own,
            country=country,
            sector=sector,
            cameo_country=table["gdelt_countries"].get(code, own),
            cameo_type=table["gdelt_types"].get(sector, sector),
        )

    def country(self, code: str) -> str:
        """A country's code: as it is, but for Kosovo's."""
        return self._kosovo if code in _KOSOVO else code


def _organisation(code: str) -> Coded:
    table = _table()
    kind = next((kind for kind, codes in table["kinds"].items() if code in codes), "IGO")
    return Coded(
        code=kind,
        organisation=code,
        cameo_group=table["groups"].get(code, ""),
        cameo_type=kind,
    )


def _sector(party: Party) -> str:
    """Whom of the state the party is; empty for the state as such."""
    if party.role is None and party.kind in (None, "LOC"):
        return ""
    told = party.role or (party.name if party.kind == "ORG" else "")
    return next((sector for sector, role in _sectors() if role.search(told)), "GOV")


@cache
def _sectors() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (rule["sector"], re.compile(rule["role"], re.IGNORECASE)) for rule in _table()["sectors"]
    ]


def _table() -> dict[str, Any]:
    return reference.table("exports.toml")
