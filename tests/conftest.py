"""Fixtures that every test may use."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from pipeline.settings import Settings, Topics

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
