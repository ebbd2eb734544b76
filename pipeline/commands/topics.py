"""``kasnec topics create|check``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from pipeline.streaming import topics


@click.group()
def command() -> None:
    """Create the topics, or check them."""


@command.command()
@click.pass_context
def create(ctx: click.Context) -> None:
    """Create the topics that are missing; those that exist are left as they are."""
    states = asyncio.run(topics.create(ctx.obj()))
    _show(states)
    for state in states:
        for difference in state.differences:
            click.echo(difference, err=True)
    topics.raise_faults([fault for state in states for fault in state.faults])


@command.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Compare the topics that exist with the settings."""
    states = asyncio.run(topics.inspect(ctx.obj()))
    _show(states)
    topics.raise_faults([line for state in states for line in (*state.faults, *state.differences)])


def _show(states: Sequence[topics.TopicState]) -> None:
    table = Table("topic", "partitions", "retention", "cleanup", "largest message", "state")
    for state in states:
        topic = state.topic
        hours = topic.retention_hours
        table.add_row(
            topic.name,
            str(state.partitions or "-"),
            "for ever" if hours == -1 else f"{hours} h",
            topic.cleanup_policy,
            f"{topic.max_message_bytes:,} B",
            _state(state),
        )
    Console().print(table)


def _state(state: topics.TopicState) -> str:
    if state.faults:
        return "wrong partitions" if state.partitions else "missing"
    if state.differences:
        return "differs"
    return "created" if state.created else "as configured"
