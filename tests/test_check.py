"""``kasnec check`` without a broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from pipeline import languages
from pipeline.cli import cli

_PACK = languages.load("sq")


@pytest.fixture(autouse=True)
def _healthy_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pack = replace(_PACK, folder=tmp_path, checksums={})
    monkeypatch.setattr(languages, "load", lambda _code: pack)


def _check(*arguments: str, **environ: str) -> Result:
    config = str(Path(__file__).parent.parent / "config" / "kasnec.toml")
    return CliRunner().invoke(cli, ["--config", config, "check", *arguments], env=environ)


def test_defaults_are_well() -> None:
    """The shipped settings have no fault, and every setting is printed."""
    result = _check("--offline")
    assert result.exit_code == 0
    assert "topics.dead_letter.max_message_bytes" in result.output
    assert "Nothing is wrong" in result.output


def test_all_faults_and_no_secret() -> None:
    """Wrong settings exit with 2 and are all named; the password is not."""
    result = _check(
        KASNEC_BROKER_SASL_PASSWORD="zbulohet-kurre",
        KASNEC_HEALTH_PORT="-1",
        KASNEC_WORKER_LINGER_S="gjatë",
    )
    assert result.exit_code == 2
    assert "health.port" in result.output
    assert "worker.linger_s" in result.output
    assert "zbulohet-kurre" not in result.output


def test_json_is_one_object_without_secrets() -> None:
    """--json has the settings, secrets masked, and the list of problems."""
    result = _check(
        "--offline",
        "--json",
        KASNEC_BROKER_SECURITY_PROTOCOL="SASL_SSL",
        KASNEC_BROKER_SASL_USERNAME="kasnec",
        KASNEC_BROKER_SASL_PASSWORD="zbulohet-kurre",
    )
    report = orjson.loads(result.output)
    assert report["problems"] == []
    assert report["settings"]["broker"]["sasl_username"] == "kasnec"
    assert "zbulohet-kurre" not in result.output


def test_without_a_broker_it_says_how_to_get_one(tmp_path: Path) -> None:
    """No address and no embedded broker is a note, not a fault."""
    result = _check(KASNEC_EMBEDDED_DATA_DIR=str(tmp_path))
    assert result.exit_code == 0
    assert "kasnec up" in result.output


def test_unreachable_broker_is_a_fault() -> None:
    """An address where nothing listens exits with 1 and says so."""
    result = _check(KASNEC_BROKER_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert result.exit_code == 1
    assert "nothing listens there" in result.output


def test_corrupted_model_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file with another checksum than the manifest's exits with 1 and is named."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "ner.pt").write_bytes(b"x")
    pack = replace(_PACK, folder=tmp_path, checksums={"ner.pt": "0" * 64})
    monkeypatch.setattr(languages, "load", lambda _code: pack)
    result = _check("--offline")
    assert result.exit_code == 1
    assert "ner.pt is corrupted" in result.output.replace("\n", "")
