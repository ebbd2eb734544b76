"""One typed settings object: defaults here, over them ``config/kasnec.toml``, then ``KASNEC_*``.

The environment name of a setting is its path in the file: ``[worker] batch_size`` is
``KASNEC_WORKER_BATCH_SIZE``, ``[topics.raw] partitions`` is ``KASNEC_TOPICS_RAW_PARTITIONS``. A
secret can also be read from a file named by the same variable with ``_FILE`` behind it.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Final, Literal, Self, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from pipeline.errors import ConfigurationError
from pipeline.records import Mode, Status

DEFAULT_FILE: Final = Path("config/kasnec.toml")

# Variables with our prefix that are not settings: where the settings and the training data lie,
# and what the test suite reads.
_NOT_SETTINGS: Final = ("KASNEC_CONFIG", "KASNEC_TRAINING_DATA", "KASNEC_TEST_")


def is_loopback(host: str) -> bool:
    """Whether what listens on this host is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# 120 bits in base64: what nobody guesses by asking.
_TOKEN_CHARS: Final = 20


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Broker(_Section):
    """How to reach Kafka."""

    bootstrap_servers: str = Field(
        "", description="host:port[,host:port]; empty: `kasnec up` starts the embedded broker"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None
    ssl_key_password: SecretStr = SecretStr("")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether the client authenticates by SASL."""
        return self.security_protocol.startswith("SASL")

    @model_validator(mode="after")
    def _complete(self) -> Broker:
        faults = []
        if self.uses_sasl and not (self.sasl_username and self.sasl_password.get_secret_value()):
            faults.append(
                f"security_protocol {self.security_protocol} needs sasl_username and sasl_password "
                "(set KASNEC_BROKER_SASL_USERNAME and KASNEC_BROKER_SASL_PASSWORD_FILE)"
            )
        if bool(self.ssl_cert_file) != bool(self.ssl_key_file):
            faults.append("ssl_cert_file and ssl_key_file go together: set both or neither")
        for field in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file"):
            path: Path | None = getattr(self, field)
            if path is not None and not path.is_file():
                faults.append(f"{field}: there is no file {path}")
        for server in filter(None, self.bootstrap_servers.split(",")):
            _host, _, port = server.strip().rpartition(":")
            if not _host or not port.isdigit():
                faults.append(f"bootstrap_servers: {server.strip()!r} is not host:port")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Topic(_Section):
    """One topic, as `kasnec topics create` makes it."""

    name: str = Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")
    partitions: int = Field(4, ge=1, le=1000)
    retention_hours: int = Field(168, ge=-1, description="-1 keeps for ever")
    cleanup_policy: Literal["delete", "compact", "compact,delete"] = "delete"
    max_message_bytes: int = Field(4_194_304, ge=1024)


class Topics(_Section):
    """The topics of record.md."""

    raw: Topic = Topic(name="articles.raw", max_message_bytes=16_777_216)
    annotated: Topic = Topic(name="articles.annotated")
    events: Topic = Topic(name="events.diplomatic", retention_hours=720)
    # One partition each: the register takes mentions one after the other, and so few alerts are
    # best read in the order in which they were told.
    mentions: Topic = Topic(name="summits.mentions", partitions=1)
    summits: Topic = Topic(
        name="summits.register",
        partitions=1,
        retention_hours=-1,
        cleanup_policy="compact",
        max_message_bytes=8_388_608,
    )
    alerts: Topic = Topic(
        name="alerts.summits", partitions=1, retention_hours=-1, max_message_bytes=6_291_456
    )
    # Holds the original bytes and our headers, so it takes a little more than `raw` does.
    dead_letter: Topic = Topic(
        name="articles.dead-letter", retention_hours=720, max_message_bytes=17_825_792
    )
    replication_factor: int = Field(1, ge=1, le=10)

    def all(self) -> tuple[Topic, ...]:
        """Every topic, in the order in which an article travels."""
        return (
            self.raw,
            self.annotated,
            self.events,
            self.mentions,
            self.summits,
            self.alerts,
            self.dead_letter,
        )

    @model_validator(mode="after")
    def _one_register(self) -> Topics:
        faults = [
            f"{topic.name} must have 1 partition: all mentions of a summit must meet in one place"
            for topic in (self.mentions, self.summits)
            if topic.partitions != 1
        ]
        if "compact" not in self.summits.cleanup_policy or self.summits.retention_hours != -1:
            faults.append(
                f"{self.summits.name} must be compacted and kept for ever (cleanup_policy "
                '"compact", retention_hours -1): it is all that is known of the open summits'
            )
        sizes = [t.max_message_bytes for t in (self.events, self.alerts, self.summits)]
        if not sizes[0] < sizes[1] < sizes[2] or self.mentions.max_message_bytes < sizes[0]:
            faults.append(
                "max_message_bytes must grow from events over alerts to summits, and mentions "
                "must take what events takes: an alert holds an event, and a summit's record both"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Worker(_Section):
    """The Faust worker."""

    group: str = Field("kasnec", min_length=1)
    batch_size: int = Field(16, ge=1, le=512)
    linger_s: float = Field(0.05, gt=0, le=10)
    buffer_size: int = Field(64, ge=1)
    stage_timeout_s: float = Field(20.0, gt=0)
    model_load_timeout_s: float = Field(600.0, gt=0)
    produce_timeout_s: float = Field(10.0, gt=0)
    produce_retry_s: float = Field(300.0, ge=0)
    commit_interval_s: float = Field(0.5, gt=0)
    session_timeout_s: float = Field(10.0, ge=6, description="Kafka refuses less than 6")
    rebalance_timeout_s: float = Field(15.0, gt=0)
    shutdown_timeout_s: float = Field(
        6.0, gt=0, le=7, description="a supervisor kills after ten seconds"
    )

    @model_validator(mode="after")
    def _dead_members_are_missed_first(self) -> Self:
        if self.rebalance_timeout_s <= self.session_timeout_s:
            raise ValueError(
                "rebalance_timeout_s must be longer than session_timeout_s: otherwise a rebalance "
                "can end while the broker still counts a dead worker as a member"
            )
        return self


class Health(_Section):
    """The probes and `/metrics` of the worker."""

    host: str = "127.0.0.1"
    port: int = Field(6066, ge=0, le=65535, description="0 takes a free one")
    stall_s: float = Field(90.0, gt=0)


class Limits(_Section):
    """What an article may be."""

    max_text_chars: int = Field(200_000, ge=1)
    max_message_bytes: int = Field(4_194_304, ge=1024)


class Language(_Section):
    """Which languages are read and how a disputed code is written."""

    enabled: tuple[str, ...] = ("sq",)
    kosovo_code: Literal["XKX", "KSV", "KOS", "XKK"] = "XKX"


class Summits(_Section):
    """What the summit register takes for a summit."""

    modes: tuple[Mode, ...] = ("summit",)
    min_confidence: float = Field(0.0, ge=0, le=1)


class SinkSettings(_Section):
    """Which alerts a sink is told, and how many a minute. Empty lists want all."""

    participants: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    modes: tuple[Mode, ...] = ()
    per_minute: int = Field(30, ge=1, le=6000)


class Webhook(SinkSettings):
    """Alerts by HTTP POST. The address can be a secret, as Slack's are."""

    url: SecretStr = SecretStr("")
    format: Literal["json", "slack"] = "json"
    secret: SecretStr = SecretStr("")

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.url.get_secret_value())

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.enabled and not _is_http(self.url.get_secret_value()):
            raise ValueError("url must begin with http:// or https:// and name a host")
        secret = self.secret.get_secret_value()
        if secret.startswith("whsec_"):
            try:
                base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            except ValueError:
                raise ValueError("secret: what follows whsec_ must be base64") from None
        return self


class Alertmanager(SinkSettings):
    """Alerts to a Prometheus Alertmanager."""

    url: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.url)

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        if self.enabled and not _is_http(self.url):
            raise ValueError("url must begin with http:// or https:// and name a host")
        return self


class Mail(SinkSettings):
    """Alerts by e-mail."""

    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether it is switched on."""
        return bool(self.host)

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        faults = []
        if self.enabled and not (self.sender and self.recipients):
            faults.append("sender and recipients are needed to send letters")
        faults += [
            f"{address!r} is no e-mail address"
            for address in (*self.recipients, *([self.sender] if self.sender else []))
            if "@" not in parseaddr(address)[1]
        ]
        if self.username and self.security == "none":
            faults.append("a password must not travel unencrypted: set security to starttls or tls")
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Notify(_Section):
    """Where `kasnec notify` serves `/metrics`."""

    host: str = "127.0.0.1"
    port: int = Field(6067, ge=0, le=65535, description="0 takes a free one")


class Store(_Section):
    """The event store and `kasnec store`, which fills it."""

    url: SecretStr = SecretStr("sqlite:///.kasnec/store.db")
    keep_articles_days: int = Field(30, ge=0, description="0 keeps no texts at all")
    host: str = "127.0.0.1"
    port: int = Field(6068, ge=0, le=65535, description="0 takes a free one")


class Dashboard(_Section):
    """The HTTP API over the store."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, description="0 takes a free one")
    token: SecretStr = SecretStr("")
    identity_header: str = Field("", pattern=r"^[A-Za-z0-9-]*$")
    allowed_hosts: tuple[str, ...] = ()
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(6069, ge=0, le=65535, description="0 takes a free one")

    @model_validator(mode="after")
    def _closed_to_strangers(self) -> Self:
        token = self.token.get_secret_value()
        if token and len(token) < _TOKEN_CHARS:
            raise ValueError(
                f"token: at least {_TOKEN_CHARS} characters, or it can be guessed "
                "(python3 -c 'import secrets; print(secrets.token_urlsafe())' makes one)"
            )
        if not (is_loopback(self.host) or token or self.identity_header):
            raise ValueError(
                f"host {self.host} can be reached from elsewhere: set a token "
                "(KASNEC_DASHBOARD_TOKEN_FILE), or identity_header to the header in which your "
                "reverse proxy names who is signed in"
            )
        return self


class Embedded(_Section):
    """The embedded broker of `kasnec up`."""

    data_dir: Path = Path(".kasnec")
    port: int = Field(9092, ge=1, le=65535)


class Settings(_Section):
    """Everything that can be set."""

    broker: Broker = Broker()
    topics: Topics = Topics()
    worker: Worker = Worker()
    health: Health = Health()
    limits: Limits = Limits()
    language: Language = Language()
    summits: Summits = Summits()
    notify: Notify = Notify()
    webhook: Webhook = Webhook()
    alertmanager: Alertmanager = Alertmanager()
    mail: Mail = Mail()
    store: Store = Store()
    dashboard: Dashboard = Dashboard()
    embedded: Embedded = Embedded()

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        faults = []
        names = [topic.name for topic in self.topics.all()]
        if len(set(names)) < len(names):
            faults.append(f"topics: two topics have the same name ({', '.join(names)})")
        if self.topics.dead_letter.max_message_bytes <= self.topics.raw.max_message_bytes:
            faults.append(
                "topics.dead_letter.max_message_bytes must be larger than that of topics.raw: a "
                "dead letter is the original message with headers"
            )
        if self.health.stall_s <= self.worker.stage_timeout_s:
            faults.append(
                "health.stall_s must be longer than worker.stage_timeout_s, or a slow article "
                "makes /livez fail"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The effective settings.

    Args:
        path: a TOML file. Without it ``KASNEC_CONFIG``, then ``config/kasnec.toml`` if it exists.
        environ: environment variables; those of the process by default.

    Raises:
        ConfigurationError: with every fault found, not only the first.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values = _read_file(path, environ, problems)
    known = {_variable(keys): keys for keys in _leaves(Settings)}
    for variable, value in sorted(environ.items()):
        if not variable.startswith("KASNEC_") or variable.startswith(_NOT_SETTINGS):
            continue
        keys = known.get(variable)
        if keys is None and (keys := known.get(variable.removesuffix("_FILE"))) is not None:
            try:
                value = Path(value).read_text(encoding="utf-8").strip()  # noqa: PLW2901
            except OSError as error:
                problems.append(f"{variable}: cannot read {value}: {error.strerror}")
                continue
        if keys is None:
            problems.append(f"{variable}: there is no such setting; see config/kasnec.toml")
            continue
        _put(values, keys, value)
    try:
        settings = Settings.model_validate(_merge(Settings().model_dump(), values))
    except ValidationError as error:
        problems.extend(_sentence(fault) for fault in error.errors(include_url=False))
    if problems:
        raise ConfigurationError(problems)
    return settings


def describe(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets masked."""
    return settings.model_dump(mode="json")


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, secrets included, to hand them to a child process."""
    variables = {}
    for keys in _leaves(Settings):
        value: Any = settings
        for key in keys:
            value = getattr(value, key)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, tuple):
            value = ",".join(value)
        if value is not None:
            variables[_variable(keys)] = str(value)
    return variables


def _read_file(
    path: Path | None, environ: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    if path is None:
        named = environ.get("KASNEC_CONFIG")
        path = Path(named) if named else DEFAULT_FILE
        if not named and not path.exists():
            return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: is not TOML: {error}")
    return {}


def _leaves(model: type[BaseModel], keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, kind in _fields(model):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*keys, name))
        else:
            yield (*keys, name)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield name, field.annotation


def _is_list(keys: tuple[str, ...]) -> bool:
    """Whether the setting holds several values: with commas between them in the environment."""
    kind: Any = Settings
    for key in keys:
        kind = dict(_fields(kind))[key]
    return get_origin(kind) is tuple


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _variable(keys: tuple[str, ...]) -> str:
    return "_".join(("KASNEC", *keys)).upper()


def _put(values: dict[str, Any], keys: tuple[str, ...], value: str) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    several = [part.strip() for part in value.split(",") if part.strip()]
    values[keys[-1]] = several if _is_list(keys) else value


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
