"""The command line."""

from __future__ import annotations

import subprocess
import sys

import pytest


def kasnec(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    """``kasnec --help`` lists the commands without importing Faust or torch."""
    code = (
        "import sys; sys.argv = ['kasnec', '--help']\n"
        "from pipeline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('faust', 'torch', 'stanza', 'aiokafka') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    for name in ("up", "worker", "replay", "extract", "export", "dead-letters", "topics", "check"):
        assert f"\n  {name} " in done.stdout
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("arguments", [["worker"], ["extract", "seeds"], ["nonsense"]])
def test_wrong_use_is_a_sentence_and_status_2(arguments: list[str]) -> None:
    """What cannot work ends with status 2 and a sentence, not with a traceback."""
    done = kasnec(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_all_configuration_faults_at_once() -> None:
    """Every wrong variable is named in one go."""
    done = kasnec(
        "worker", KASNEC_WORKER_BATCH_SIZE="0", KASNEC_HEALTH_PORT="x", KASNEC_NO_SUCH="1"
    )
    assert done.returncode == 2
    for word in ("worker.batch_size", "health.port", "KASNEC_NO_SUCH"):
        assert word in done.stderr
