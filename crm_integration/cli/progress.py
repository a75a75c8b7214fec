"""Progress of long work on stderr, so that stdout stays one document.

Prevents the command that looks dead for ten minutes, and the log line in the middle of a JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console

Told = Callable[[str, int], None]


@contextmanager
def progress(doing: str) -> Generator[Told]:
    """A line that says what is being done and how far it is; gone at the end, and never in a
    file or a pipe."""
    console = Console(stderr=True)
    with console.status(doing) as status:

        def told(what: str, count: int) -> None:
            status.update(f"{doing}: {what}, {count:,} so far")

        yield told
