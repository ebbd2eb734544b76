"""A PostgreSQL of the tests' own, from Debian's package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A running server, its data in ``folder``; the URL of a database in UTF-8."""
    found = programs()
    assert found
    # It refuses to run as root.
    user = "nobody" if os.getuid() == 0 else None
    data = folder / "data"
    if user:
        folder.chmod(0o711)
        for parent in folder.parents:
            if parent.stat().st_uid == os.getuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o111)
        data.mkdir()
        shutil.chown(data, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(
        [str(found / "initdb"), "--pgdata", str(data), "--auth", "trust", "--username", "kasnec",
         "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"],
        check=True, user=user, stdout=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    server = subprocess.Popen(
        [str(found / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "",
         "-c", "fsync=off"],
        user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            ready = [str(found / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            if subprocess.run(ready, check=False).returncode == 0:
                break
            try:
                server.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError("PostgreSQL ended at its start")
        yield f"postgresql://kasnec@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(20)
