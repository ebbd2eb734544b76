"""The real worker over a fake chain, in processes that start in a moment.

Importing Faust takes seconds. This process imports it once and then forks a worker for every line
on its standard input: ``{"factory", "environment", "log"}`` answers ``{"pid"}``, and ``{"pid"}``
answers ``{"status"}``, null while the worker lives.
"""

import gc
import json
import os
import signal
import sys
from importlib import import_module


def _worker(factory: str, environment: dict[str, str], log: str) -> int:
    # Inside: the process of the models imports this module too, and needs none of it.
    from pipeline import settings
    from pipeline.errors import KasnecError
    from pipeline.streaming import worker
    from tests.wire import fakes

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in [name for name in os.environ if name.startswith("KASNEC_")]:
        del os.environ[name]
    os.environ.update(environment)
    try:
        return worker.run(settings.load(), factory=getattr(fakes, factory))
    except KasnecError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _import_all() -> None:
    """Import what a worker needs until its first message."""
    import_module("pipeline.streaming.consumer").import_all()
    for name in ("pipeline.streaming.worker", "tests.wire.fakes"):
        import_module(name)
    gc.freeze()  # a collection in a fork would copy every page


def _serve() -> None:
    _import_all()
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = {"status": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            pid = os.fork()
            if not pid:
                os.setsid()
                os._exit(_worker(**request))
            answer = {"pid": pid}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve()
