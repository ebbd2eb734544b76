"""What every child process of ours needs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


def die_with_parent(parent: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Ask Linux to end this process when its parent dies, so that kill -9 leaves no orphan.

    Call it in the child, before anything else.

    Args:
        parent: process id of the parent, to notice that it died before we asked.
        by: the signal to end with.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(1)
