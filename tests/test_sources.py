"""Articles in files."""

from __future__ import annotations

import gzip
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from pipeline import sources
from pipeline.errors import BadInput
from pipeline.sources import Clock, Found
from pipeline.stages import decode

_SEEDS = Path(__file__).parent.parent / "seeds"
_ARTICLE = {
    "id": "a1",
    "title": "Takimi",
    "body": "Ministrat u takuan në Tiranë.",
    "published_at": "2025-09-03T10:00:00+02:00",
}


def _read(*paths: Path, clock: Clock | None = None) -> list[Found]:
    return list(sources.read(sources.find(paths).articles, clock=clock))


def _reason(found: Found) -> str:
    assert isinstance(found.content, BadInput)
    return found.content.reason


def test_seed_is_an_article() -> None:
    """The bare seed keeps its text, gets an id from its name, and noon of its day in Tirana."""
    (found,) = _read(_SEEDS / "000_07caa4f05b56ff47.txt")
    assert isinstance(found.content, dict)
    article = decode.validate(found.content)
    assert article.id == "000_07caa4f05b56ff47"
    assert article.title == ""
    assert article.published_at == "2025-09-03T12:00:00+02:00"
    text = Path(found.where).read_text(encoding="utf-8")
    assert text == f" date 2025-09-03 {article.body}"


@pytest.mark.parametrize(("day", "offset"), [("2025-01-15", "+01:00"), ("2025-07-15", "+02:00")])
def test_offset_follows_the_day(tmp_path: Path, day: str, offset: str) -> None:
    """Winter and summer time of the zone are told apart."""
    (tmp_path / "x.txt").write_text(f"date {day}\nU mblodh këshilli.")
    (found,) = _read(tmp_path, clock=Clock(time=time(9, 30), zone=ZoneInfo("Europe/Tirane")))
    assert found.content == {
        "id": "x",
        "title": "",
        "body": "U mblodh këshilli.",
        "published_at": f"{day}T09:30:00{offset}",
    }


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_side_car_goes_over_the_text(tmp_path: Path, suffix: str) -> None:
    """A side-car gives any field; it is not counted as a file of another type."""
    (tmp_path / "x.txt").write_text(" date 2025-09-03 U mblodh këshilli.")
    fields = {"id": "s-7", "title": "Mbledhja", "published_at": "2025-09-04T08:00:00+02:00"}
    text = "\n".join(f'{name} = "{value}"' for name, value in fields.items())
    side_car = orjson.dumps(fields) if suffix == ".json" else text.encode()
    (tmp_path / f"x{suffix}").write_bytes(side_car)
    (found,) = _read(tmp_path)
    assert found.content == fields | {"body": "U mblodh këshilli."}
    assert sources.find([tmp_path]).ignored == 0


def test_folders_are_sorted_and_others_counted(tmp_path: Path) -> None:
    """Files below a folder come in sorted order; what is no article is counted."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "z.jsonl").write_bytes(orjson.dumps(_ARTICLE | {"id": "z"}))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(orjson.dumps(_ARTICLE | {"id": "c"})))
    (tmp_path / "a.jsonl").write_bytes(b"\n" + orjson.dumps(_ARTICLE) + b"\r\n\n")
    (tmp_path / "foto.jpg").write_bytes(b"x")
    (tmp_path / "vetem.json").write_bytes(b"{}")
    found = _read(tmp_path)
    assert [item.content["id"] for item in found if isinstance(item.content, dict)] == [
        "a1", "c", "z",
    ]  # fmt: skip
    assert found[0].where == f"{tmp_path}/a.jsonl:2"
    assert sources.find([tmp_path]).ignored == 2


def test_bad_lines_do_not_end_the_file(tmp_path: Path) -> None:
    """Each bad line has its reason and its place, and the good one behind them is read."""
    lines = [b"{", b"\xff\xfe", b"[1]", b'{"id": "' + b"x" * 5000 + b'"}', orjson.dumps(_ARTICLE)]
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    found = list(sources.read([file], limits=decode.Limits(max_message_bytes=1000)))
    assert [_reason(item) for item in found[:4]] == [
        "not-json", "not-utf-8", "not-an-object", "message-too-large",
    ]  # fmt: skip
    assert found[4] == Found(f"{file}:5", _ARTICLE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" date 2025-13-40 Teksti.", "invalid-date"),
        (b" date 2025-09-03 \xff", "not-utf-8"),
    ],
)
def test_bad_texts_have_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    """A bare text that cannot be read is a value with a reason."""
    (tmp_path / "x.txt").write_bytes(content)
    (found,) = _read(tmp_path)
    assert _reason(found) == reason


def test_text_without_a_date_is_left_to_validation(tmp_path: Path) -> None:
    """Without a date the whole text is the body, and the date is what is missing."""
    (tmp_path / "x.txt").write_text("Pa datë fare.")
    (found,) = _read(tmp_path)
    assert isinstance(found.content, dict)
    with pytest.raises(BadInput, match="missing-date"):
        decode.validate(found.content)


def test_broken_archive_is_a_value(tmp_path: Path) -> None:
    """A truncated gzip file yields what it has, then a reject."""
    whole = gzip.compress(orjson.dumps(_ARTICLE) * 50)
    (tmp_path / "x.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    assert _reason(_read(tmp_path)[-1]) == "unreadable"


def test_broken_side_car_is_a_value(tmp_path: Path) -> None:
    """A side-car that is no TOML rejects its article."""
    (tmp_path / "x.txt").write_text(" date 2025-09-03 Teksti.")
    (tmp_path / "x.toml").write_text("title = ")
    (found,) = _read(tmp_path)
    assert _reason(found) == "not-toml"


def test_unknown_file_is_refused(tmp_path: Path) -> None:
    """A file named on the command line must be of a type that can be read."""
    file = tmp_path / "x.pdf"
    file.touch()
    with pytest.raises(ValueError, match=r"\.jsonl"):
        sources.find([file])
