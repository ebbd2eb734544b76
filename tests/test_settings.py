"""Settings: one file, the environment over it, every fault at once, no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import settings
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

_FILE = Path(__file__).parent.parent / "config" / "kasnec.toml"


def test_file_holds_the_defaults() -> None:
    """config/kasnec.toml says what the code does without it."""
    assert settings.load(_FILE, {}) == Settings()


def test_environment_goes_over_the_file(tmp_path: Path) -> None:
    """A variable wins over the file, the file over the default."""
    file = tmp_path / "kasnec.toml"
    file.write_text("[worker]\nbatch_size = 3\nlinger_s = 0.5\n[topics.raw]\npartitions = 2\n")
    environ = {"KASNEC_WORKER_BATCH_SIZE": "5", "KASNEC_TOPICS_RAW_NAME": "hyrja"}
    found = settings.load(file, environ)
    assert (found.worker.batch_size, found.worker.linger_s) == (5, 0.5)
    assert (found.topics.raw.name, found.topics.raw.partitions) == ("hyrja", 2)
    assert found.topics.raw.max_message_bytes == Settings().topics.raw.max_message_bytes


def test_secret_from_a_file(tmp_path: Path) -> None:
    """``_FILE`` names a file whose content is the value, without the line end."""
    secret = tmp_path / "fjalekalim"
    secret.write_text("shumë sekret\n")
    found = settings.load(
        _FILE,
        {
            "KASNEC_BROKER_SECURITY_PROTOCOL": "SASL_SSL",
            "KASNEC_BROKER_SASL_USERNAME": "kasnec",
            "KASNEC_BROKER_SASL_PASSWORD_FILE": str(secret),
        },
    )
    assert found.broker.sasl_password.get_secret_value() == "shumë sekret"


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Four mistakes in three sections are four lines of one error."""
    environ = {
        "KASNEC_WORKER_BATCH_SIZE": "shumë",
        "KASNEC_HEALTH_PORT": "99999",
        "KASNEC_WROKER_GROUP": "x",
        "KASNEC_BROKER_SASL_PASSWORD_FILE": str(tmp_path / "mungon"),
    }
    with pytest.raises(ConfigurationError) as raised:
        settings.load(_FILE, environ)
    text = "\n".join(raised.value.problems)
    assert len(raised.value.problems) == len(environ)
    for words in ("worker.batch_size", "health.port", "KASNEC_WROKER_GROUP", "mungon"):
        assert words in text


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"KASNEC_BROKER_SECURITY_PROTOCOL": "SASL_SSL"}, "KASNEC_BROKER_SASL_PASSWORD_FILE"),
        ({"KASNEC_BROKER_BOOTSTRAP_SERVERS": "kafka"}, "is not host:port"),
        ({"KASNEC_BROKER_SSL_CA_FILE": "/nuk/ka"}, "there is no file /nuk/ka"),
        ({"KASNEC_TOPICS_RAW_NAME": "articles.annotated"}, "same name"),
        ({"KASNEC_TOPICS_DEAD_LETTER_MAX_MESSAGE_BYTES": "2048"}, "must be larger"),
        ({"KASNEC_TOPICS_MENTIONS_PARTITIONS": "4"}, "summits.mentions must have 1 partition"),
        ({"KASNEC_TOPICS_SUMMITS_CLEANUP_POLICY": "delete"}, "must be compacted"),
        ({"KASNEC_TOPICS_ALERTS_MAX_MESSAGE_BYTES": "4194304"}, "must grow from events"),
        ({"KASNEC_WEBHOOK_URL": "hooks.example/x"}, "must begin with http"),
        ({"KASNEC_WEBHOOK_SECRET": "whsec_?"}, "must be base64"),
        ({"KASNEC_MAIL_HOST": "smtp.example"}, "sender and recipients are needed"),
        ({"KASNEC_MAIL_RECIPIENTS": "a@b.c,desk"}, "'desk' is no e-mail address"),
        ({"KASNEC_MAIL_USERNAME": "k", "KASNEC_MAIL_SECURITY": "none"}, "unencrypted"),
    ],
)
def test_faults_say_what_to_do(environ: dict[str, str], words: str) -> None:
    """Settings that cannot work together are refused in words."""
    with pytest.raises(ConfigurationError, match=words):
        settings.load(_FILE, environ)


def test_lists_have_commas_in_the_environment() -> None:
    """Spaces around the values do not count, and nothing is an empty list."""
    environ = {"KASNEC_WEBHOOK_PARTICIPANTS": "ALB, EU", "KASNEC_MAIL_STATUSES": ""}
    found = settings.load(_FILE, environ)
    assert found.webhook.participants == ("ALB", "EU")
    assert found.mail.statuses == ()
    assert settings.load(_FILE, settings.environment(found)) == found


def test_secrets_are_not_shown() -> None:
    """Neither the description nor the repr has the password; a child's environment has it."""
    environ = {
        "KASNEC_BROKER_SECURITY_PROTOCOL": "SASL_SSL",
        "KASNEC_BROKER_SASL_USERNAME": "kasnec",
        "KASNEC_BROKER_SASL_PASSWORD": "zbulohet-kurre",
        "KASNEC_BROKER_SSL_KEY_PASSWORD": "as-kjo",
        "KASNEC_WEBHOOK_URL": "https://hooks.example/as-kjo",
        "KASNEC_WEBHOOK_SECRET": "as-kjo",
        "KASNEC_MAIL_PASSWORD": "as-kjo",
        "KASNEC_ALERTMANAGER_PASSWORD": "as-kjo",
    }
    found = settings.load(_FILE, environ)
    for shown in (str(settings.describe(found)), repr(found), str(found)):
        assert "zbulohet-kurre" not in shown
        assert "as-kjo" not in shown
    assert settings.load(_FILE, settings.environment(found)) == found
