"""Names to canonical names and codes, in every case form and spelling."""

from __future__ import annotations

import pytest

from pipeline import languages
from pipeline.stages.gazetteer import fold
from pipeline.stages.names import NameResolver
from tests.stages.marked import document


@pytest.fixture(scope="module")
def resolve() -> NameResolver:
    """The resolver of Albanian."""
    return NameResolver(languages.load("sq"))


def codes(
    resolve: NameResolver, *marked: str, published_at: str = "2025-09-03T10:00:00+02:00"
) -> list[str | None]:
    """The codes of the names of a document."""
    return [name.code for name in resolve(document(*marked, published_at=published_at))]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("Shqipërisë", "ALB"), ("Shqiperise", "ALB"), ("SHQIPËRIA", "ALB"), ("Gjermanise", "DEU"),
        ("SHBA-së", "USA"), ("SHBA’ja", "USA"), ("Shteteve të Bashkuara", "USA"),
        ("Britanisë së Madhe", "GBR"), ("Malin e Zi", "MNE"), ("Maqedonisë së Veriut", "MKD"),
        ("Zvicrës", "CHE"), ("Kosovës", "XKX"), ("Nigerisë", "NGA"), ("Nigerit", "NER"),
        ("Koresë së Veriut", "PRK"), ("Prishtinës", "XKX"), ("Uashingtonit", "USA"),
        ("Beogradin", "SRB"), ("Vjenë", "AUT"), ("Hagë", "NLD"), ("Shtëpisë së Bardhë", "USA"),
        ("Kopenhagë", "DNK"), ("Varshavës", "POL"),
    ],
)  # fmt: skip
def test_places_in_any_form(resolve: NameResolver, form: str, code: str) -> None:
    """States and cities resolve whatever their case ending, diacritics and capitals."""
    assert codes(resolve, f"Lajme nga [{form}|LOC]") == [code]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("NATO-s", "NATO"), ("BE’në", "EU"), ("Bashkimit Evropian", "EU"), ("OKB-ja", "UN"),
        ("Kombeve të Bashkuara", "UN"), ("OSBE-së", "OSCE"), ("Këshillit të Evropës", "COE"),
        ("Këshillit Evropian", "EU"), ("Dhomat e Specializuara", "KSC"),
        ("Ministria e Jashtme e Gjermanisë", "DEU"), ("Ministria ruse e Mbrojtjes", "RUS"),
        ("Qeverisë së Kosovës", "XKX"), ("Kremlini", "RUS"),
    ],
)  # fmt: skip
def test_organisations_in_any_form(resolve: NameResolver, form: str, code: str) -> None:
    """Organisations resolve by acronym and by name, bodies of states by their owner."""
    assert codes(resolve, f"Lajme nga [{form}|ORG]") == [code]


def test_canonical_names(resolve: NameResolver) -> None:
    """Names are English and in the nominative."""
    names = resolve(document("[Turqisë|LOC], [NATO-s|ORG], [Ministrisë së Jashtme të Serbisë|ORG]"))
    assert [name.name for name in names] == [
        "Turkey",
        "NATO",
        "Ministry of Foreign Affairs of Serbia",
    ]


@pytest.mark.parametrize(
    ("sentence", "code", "role"),
    [
        ("Presidenti i [Estonisë|LOC], [Jaan Tamm|PER], foli.", "EST", "president"),
        ("Kancelarja gjermane [Greta Vogt|PER] foli.", "DEU", "chancellor"),
        ("Foli [Arben Dusha|PER], kryeministri i [Shqipërisë|LOC].", "ALB", "prime minister"),
        ("Ministri i Jashtëm grek [Petros Galanis|PER] foli.", "GRC", "foreign minister"),
        ("Ministri i Punëve të Jashtme të [Islandës|LOC], [Jon Arason|PER], foli.", "ISL",
         "foreign minister"),
        ("I dërguari i [BE-së|ORG], [Carlo Bini|PER], foli.", "EU", "envoy"),
        ("Ish-presidenti francez [Luc Moreau|PER] foli.", "FRA", "former president"),
    ],
)  # fmt: skip
def test_apposition(resolve: NameResolver, sentence: str, code: str, role: str) -> None:
    """A person nobody knows acts for the state that the text names beside the name."""
    people = [n for n in resolve(document("Lajm", sentence)) if n.mention.type == "PER"]
    assert [(person.code, person.role) for person in people] == [(code, role)]


def test_apposition_is_remembered(resolve: NameResolver) -> None:
    """A surname takes the code that the article gives to the full name, before or after."""
    found = codes(
        resolve,
        "[Tammit|PER] i besojnë",
        "Presidenti i [Estonisë|LOC], [Jaan Tamm|PER], foli.",
        "[Tamm|PER] shtoi se do të kthehet.",
    )
    assert found == ["EST", "EST", "EST", "EST"]


def test_office_depends_on_the_day(resolve: NameResolver) -> None:
    """The same person acts for whom they act on the day of publication."""
    title = "[Mark Rutte|PER] foli"
    assert codes(resolve, title, published_at="2020-07-01T08:00:00+02:00") == ["NLD"]
    assert codes(resolve, title, published_at="2025-07-01T08:00:00+02:00") == ["NATO"]


@pytest.mark.parametrize("form", ["Vuçiqit", "Vuçiqi", "Vuciq", "Vučić", "VUÇIQ"])
def test_respelt_people(resolve: NameResolver, form: str) -> None:
    """Foreign names resolve in Albanian spelling, inflected or not."""
    (name,) = resolve(document(f"Takim me [{form}|PER]"))
    assert (name.name, name.code) == ("Aleksandar Vučić", "SRB")


def test_unknown_stays_unknown(resolve: NameResolver) -> None:
    """A person and a firm that nothing is said about get neither name nor code."""
    assert codes(resolve, "[Filan Fisteku|PER] punon te [Drita Plast|ORG]") == [None, None]


def test_kosovo_code() -> None:
    """Kosovo is written as the settings say."""
    resolve = NameResolver(languages.load("sq"), kosovo_code="KOS")
    assert codes(resolve, "[Kosova|LOC] dhe [Prishtina|LOC]") == ["KOS", "KOS"]


def test_fold_keeps_offsets() -> None:
    """Folding never changes the length of a text."""
    text = "Çështja e Šibenik’ut: İstanbul, Łódź, ﬁnale — “po”"
    assert len(fold(text)) == len(text)
    assert fold("Çështja") == "ceshtja"
