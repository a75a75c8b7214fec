"""Runs another program within this process until its parent goes, or its longest life is over.

    python bounded_life.py SECONDS PROGRAM [ARGUMENT...]

Prevents servers of killed test runs from being left behind. The parent holds the other end of
standard input; the end of that pipe is the end of this process.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time


def main(seconds: float, program: str, arguments: list[str]) -> None:
    """Run a Python program as `__main__`; its own arguments are all it sees."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Thread(target=_end_after, args=(seconds,), daemon=True).start()
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


def _end_with_parent() -> None:
    while os.read(0, 1024):
        continue
    os._exit(0)


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    os._exit(0)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3:])
