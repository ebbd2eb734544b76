"""Bytes to articles."""

from __future__ import annotations

import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadInput, InvalidArticle
from pipeline.stages.decode import Limits, decode, normalised, published_at

GOOD: dict[str, Any] = {
    "id": "a1",
    "title": "Titulli",
    "body": "Teksti.\nRreshti tjetër.",
    "published_at": "2026-11-23T08:00:00+01:00",
    "source": "s",
    "url": "https://shembull.example/a1",
    "language": "sq",
    "unknown": {"is": "ignored"},
}


def message(**fields: Any) -> bytes:
    """A good article with other fields."""
    return orjson.dumps(GOOD | fields)


def test_a_good_article() -> None:
    """Known fields are taken, unknown ones ignored; the text joins title and body."""
    article = decode(message())
    assert article.id == "a1"
    assert article.text == "Titulli\n\nTeksti.\nRreshti tjetër."
    assert article.url == "https://shembull.example/a1"


def test_optional_fields_may_be_absent_or_null() -> None:
    """Source, url, language and one of title and body may be missing."""
    fields = {"id": "a", "body": "Teksti.", "published_at": "2026-11-23T08:00:00Z", "url": None}
    article = decode(orjson.dumps(fields))
    assert (article.title, article.source, article.url, article.language) == ("", None, None, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty-message"),
        (b"", "empty-message"),
        (b"\xff", "not-utf-8"),
        (b"{", "not-json"),
        (b'{"id": NaN}', "not-json"),
        (b'{"id": "\\ud800"}', "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"7", "not-an-object"),
        (message(id=None), "missing-id"),
        (message(id=" "), "missing-id"),
        (message(id=7), "wrong-type"),
        (message(id="x" * 201), "invalid-id"),
        (message(body=["a"]), "wrong-type"),
        (message(published_at=""), "missing-date"),
        (message(published_at=1700000000), "wrong-type"),
        (message(published_at="2026-11-23"), "invalid-date"),
        (message(published_at="2026-11-23T08:00:00"), "invalid-date"),
        (message(published_at="2026-13-23T08:00:00Z"), "invalid-date"),
        (message(title="", body=""), "no-text"),
        (message(title=" ", body="\n"), "no-text"),
        (message(body="para\x00pas"), "control-characters"),
        (message(title="\x1b[31m"), "control-characters"),
        (message(body="e\u0308"), "decomposed-unicode"),
    ],
)
def test_refused(value: bytes | None, reason: str) -> None:
    """Each fault has its stable reason, and a sentence about it."""
    with pytest.raises(BadInput) as caught:
        decode(value)
    assert caught.value.reason == reason
    assert caught.value.stage == "decode"
    assert caught.value.detail.endswith((".", "`."))


def test_limits_are_inclusive() -> None:
    """200,000 characters pass, one more does not; the message's size is checked before parsing."""
    assert decode(message(title="", body="ë" * 200_000))
    with pytest.raises(BadInput, match="text-too-long"):
        decode(message(title="", body="ë" * 200_001))
    with pytest.raises(BadInput, match="message-too-large"):
        decode(b"{" + b" " * 100, Limits(max_message_bytes=100))


def test_repair_makes_text_acceptable() -> None:
    """Composing and dropping control characters repairs what can be repaired."""
    repaired = normalised({"body": "Tirane\u0308\x00", "id": "a", "n": 1})
    assert repaired == {"body": "Tiranë", "id": "a", "n": 1}


@given(st.binary())
def test_any_bytes_are_an_article_or_bad_input(value: bytes) -> None:
    """No bytes raise anything else."""
    try:
        decode(value)
    except BadInput as error:
        assert error.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_any_fields_are_an_article_or_invalid(fields: dict[str, Any]) -> None:
    """Whatever the fields hold, what is accepted keeps the rules of record.md."""
    try:
        article = decode(orjson.dumps(GOOD | fields))
    except BadInput:
        return
    assert 1 <= len(article.id) <= 200
    assert article.title.strip() or article.body.strip()
    assert unicodedata.is_normalized("NFC", article.text)
    assert published_at(article.published_at).utcoffset() is not None


@given(st.text())
def test_any_text_is_a_moment_or_invalid(value: str) -> None:
    """A publication date is understood or refused, and never guessed."""
    try:
        moment = published_at(value)
    except InvalidArticle as error:
        assert error.reason == "invalid-date"
    else:
        assert moment.tzinfo
