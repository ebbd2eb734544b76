"""What people call the codes, in a language of the page."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from babel import Locale

from pipeline import reference
from pipeline.records import EVENT_TYPES, MODES, STATUSES
from pipeline.stages.gazetteer import KOSOVO

Language = Literal["sq", "en"]

# ISO 3166 has no code for Kosovo; CLDR has the one that is used in its place.
_KOSOVO_IN_CLDR: Final = "XK"


@cache
def vocabulary(language: Language) -> dict[str, Any]:
    """Labels of types, modes, statuses, countries (CLDR) and organisations."""
    folder = resources.files("pipeline.dashboard") / "vocabularies"
    labels = tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))
    territories = Locale(language).territories
    countries = {
        code: territories[iso]
        for code, iso in reference.states("iso").items()
        if iso in territories
    }
    return {
        "language": language,
        "types": {code: labels["types"][code] for code in EVENT_TYPES},
        "modes": {code: labels["modes"][code] for code in MODES},
        "statuses": {code: labels["statuses"][code] for code in STATUSES},
        "countries": {**countries, KOSOVO: territories[_KOSOVO_IN_CLDR]},
        "organisations": {**reference.table("organisations.toml"), **labels["organisations"]},
    }
