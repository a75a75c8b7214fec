"""`crm-integration receiver`, with a deliberate defect in it if one is named.

Prevents a certificate of a receiver that nobody runs: without a defect it is the command itself.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The first argument names a defect ("" for none), the others are the command's."""
    broken = sys.argv.pop(1)
    if broken:
        from crm_integration_tests.certificate import breaks

        breaks.apply(broken)
    from crm_integration.cli import app

    app()


if __name__ == "__main__":
    main()
