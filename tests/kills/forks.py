"""Processes that begin where this one stands, so that nothing is imported again; a kill -9 of one is a real one."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path


def start(work: Callable[[], object], log: Path) -> int:
    """The number of a process that does `work`; it prints to `log`, and to `log` with `.err`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for number, name in ((1, log), (2, log.with_suffix(".err"))):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:  # whatever happens, a fork must not go on as its parent
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end(child: int) -> int:
    """Wait for its end; its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(child: int, after: float) -> bool:
    """kill -9 after some seconds; whether it was that which ended the process."""
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return end(child) == -signal.SIGKILL
