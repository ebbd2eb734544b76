"""`kasnec export` over files."""

from __future__ import annotations

from pathlib import Path

import orjson
from click.testing import CliRunner

from pipeline.commands.export import command
from pipeline.exports import icews
from pipeline.records import encode
from tests.stories.stream2027 import perfect_events


def test_a_file_with_everything(tmp_path: Path) -> None:
    """Repeated records once, as they came last; bad lines said by number, and status 1."""
    first, second = list(perfect_events())[:2]
    changed = orjson.loads(encode(first)) | {"confidence": 0.25}
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b"\n".join([encode(first), b"{}", b"", encode(second), b"\xff", orjson.dumps(changed)])
    )
    done = CliRunner().invoke(command, [str(path), "--format", "plover-jsonl"])
    assert done.exit_code == 1
    records = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [record["id"] for record in records] == [first.event_id, second.event_id]
    assert records[0]["kasnec"]["confidence"] == 0.25
    assert f"{path}:2 is no diplomatic-event/1" in done.stderr
    assert f"{path}:5 is no diplomatic-event/1" in done.stderr
    assert "2 events, 2 rows, 2 lines left out" in done.stderr


def test_standard_streams_and_a_header() -> None:
    """- reads standard input; a format with a header has it even over no event."""
    lines = b"\n".join(map(encode, perfect_events()))
    done = CliRunner().invoke(command, ["-", "--format", "icews"], input=lines)
    assert done.exit_code == 0
    header, *rows = done.stdout_bytes.splitlines(keepends=True)
    assert header == icews.HEADER
    assert {row.count(b"\t") for row in rows} == {19}
    empty = CliRunner().invoke(command, ["-", "--format", "icews"], input=b"")
    assert empty.stdout_bytes == icews.HEADER


def test_the_output_is_made_when_there_is_something_to_write(tmp_path: Path) -> None:
    """--output names a file; an unknown format leaves none behind."""
    target = tmp_path / "out.csv"
    lines = b"\n".join(map(encode, perfect_events()))
    wrong = CliRunner().invoke(command, ["-", "--format", "x", "--output", str(target)])
    assert wrong.exit_code == 2
    assert not target.exists()
    done = CliRunner().invoke(
        command, ["-", "--format", "gdelt", "--output", str(target)], input=lines
    )
    assert done.exit_code == 0
    assert {line.count(b"\t") for line in target.read_bytes().splitlines()} == {60}
