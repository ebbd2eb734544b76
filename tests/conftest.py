"""Fixtures that every test may use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, create_engine, text

from pipeline.settings import Settings, Topics
from pipeline.store import database
from tests.postgres import postgres, programs

# On a shared machine that stands still for seconds, the first draw alone took 21 s. What a property
# says does not depend on the clock.
hypothesis_settings.register_profile(
    "kasnec", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("kasnec")


@pytest.fixture
def unique() -> str:
    """A prefix for topics and groups that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def settings_factory(unique: str) -> Callable[..., Settings]:
    """Settings with topics and a group of this test's own.

    ``settings_factory("127.0.0.1:9092", worker={"batch_size": 2})``: sections over the defaults.
    """

    def build(bootstrap_servers: str = "", **sections: dict[str, Any]) -> Settings:
        values = Settings().model_dump()
        for topic in Topics.model_fields.keys() - {"replication_factor"}:
            values["topics"][topic]["name"] = f"{unique}.{topic}"
        values["worker"]["group"] = unique
        values["health"]["port"] = 0
        values["broker"]["bootstrap_servers"] = bootstrap_servers
        for section, fields in sections.items():
            for name, value in fields.items():
                nested = isinstance(value, dict)
                values[section][name] = values[section][name] | value if nested else value
        return Settings.model_validate(values)

    return build


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL that the whole session shares; the tests make databases of their own in it."""
    if programs() is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have PostgreSQL: apt install postgresql")
        pytest.skip("needs PostgreSQL: apt install postgresql")
    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


def new_store(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: ``sqlite`` in the folder, or ``postgresql``."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/store.db"
    server: str = request.getfixturevalue("postgres_url")
    name = f"t{uuid.uuid4().hex[:10]}"
    engine = create_engine(database.connect(server).url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres", f"/{name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    return new_store(request.param, tmp_path, request)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """An up-to-date store of either kind."""
    found = database.connect(store_url)
    database.migrate(found)
    yield found
    found.dispose()
