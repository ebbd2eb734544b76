"""TLS and SASL to the broker, and the words for what goes wrong."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BrokerUnavailable, ConfigurationError
from pipeline.settings import Settings
from pipeline.streaming import client, topics
from tests.wire.faults import FaultProxy

_KEY_PASSWORD = "çelësi"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a server, and a client with a locked key."""
    if shutil.which("openssl") is None:
        pytest.skip("makes certificates with openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    openssl(
        "req", "-x509", *curve, "-noenc", "-subj", "/CN=Kasnec test authority", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem",
    )  # fmt: skip
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text(
            "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
        )
        lock = ("-passout", f"pass:{_KEY_PASSWORD}") if name == "client" else ("-noenc",)
        openssl(
            "req", *curve, *lock, "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


def _server(certificates: Path, *, ask_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    if ask_client:
        context.load_verify_locations(certificates / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_tls_with_client_certificate(
    broker: str, certificates: Path, settings_factory: Callable[..., Settings]
) -> None:
    """A broker that asks for a certificate gets ours, from a locked key, and is verified itself."""
    async with FaultProxy(broker, tls=_server(certificates, ask_client=True)) as proxy:
        settings = settings_factory(
            proxy.bootstrap_servers,
            broker={
                "security_protocol": "SSL",
                "ssl_ca_file": certificates / "ca.pem",
                "ssl_cert_file": certificates / "client.pem",
                "ssl_key_file": certificates / "client.key",
                "ssl_key_password": _KEY_PASSWORD,
            },
        )
        states = await topics.create(settings)
    assert all(state.created for state in states)


async def test_untrusted_certificate(
    broker: str, certificates: Path, settings_factory: Callable[..., Settings]
) -> None:
    """A certificate of an unknown authority is refused, and the words name the setting."""
    async with FaultProxy(broker, tls=_server(certificates)) as proxy:
        settings = settings_factory(proxy.bootstrap_servers, broker={"security_protocol": "SSL"})
        with pytest.raises(BrokerUnavailable, match=r"not trusted.*KASNEC_BROKER_SSL_CA_FILE"):
            await topics.inspect(settings)


async def test_sasl_plain_over_tls(
    broker: str, certificates: Path, settings_factory: Callable[..., Settings]
) -> None:
    """The right password is let in; the wrong one is an error that does not quote it."""
    async with FaultProxy(broker, tls=_server(certificates), sasl=("kasnec", "i-drejtë")) as proxy:

        def settings(password: str) -> Settings:
            return settings_factory(
                proxy.bootstrap_servers,
                broker={
                    "security_protocol": "SASL_SSL",
                    "sasl_username": "kasnec",
                    "sasl_password": password,
                    "ssl_ca_file": certificates / "ca.pem",
                },
            )

        right = settings("i-drejtë")
        assert len(await topics.create(right)) == len(right.topics.all())
        with pytest.raises(BrokerUnavailable, match="refused to log us in") as raised:
            await topics.inspect(settings("i-gabuar"))
    assert "i-gabuar" not in str(raised.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ssl_ca_file": "client.key"}, "ssl_ca_file"),
        ({"ssl_cert_file": "client.pem", "ssl_key_file": "server.key"}, "ssl_key_file"),
        ({"ssl_cert_file": "client.pem", "ssl_key_file": "client.key"}, "ssl_key_file"),
    ],
)
def test_unusable_files_are_named(
    certificates: Path,
    settings_factory: Callable[..., Settings],
    files: dict[str, str],
    words: str,
) -> None:
    """No certificate, a key of another one, a missing password: the setting is in the error."""
    paths = {name: certificates / file for name, file in files.items()}
    settings = settings_factory("127.0.0.1:1", broker={"security_protocol": "SSL"} | paths)
    with pytest.raises(ConfigurationError, match=words):
        client.ssl_context(settings.broker)


def test_without_any_broker(settings_factory: Callable[..., Settings], tmp_path: Path) -> None:
    """No address and no embedded broker: the words offer both ways out."""
    settings = settings_factory(embedded={"data_dir": tmp_path})
    with pytest.raises(BrokerUnavailable, match=r"KASNEC_BROKER_BOOTSTRAP_SERVERS.*kasnec up"):
        client.connection(settings, "test")
