"""`crm-integration receiver`, with a deliberate defect in it if one is named.

Prevents a certificate of a receiver that nobody runs: without a defect it is the command itself.
And a receiver that outlives its run: it ends when its parent's end of stdin closes.
"""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """The first argument names a defect ("" for none), the others are the command's."""
    broken = sys.argv.pop(1)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if broken:
        from crm_integration_tests.certificate import breaks

        breaks.apply(broken)
    from crm_integration.cli import app

    app()


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
