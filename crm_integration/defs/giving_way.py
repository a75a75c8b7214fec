"""Lets a backfill take what live runs leave of a machine's processors.

Prevents the night's backfill that every customer feels: its calls give way already (`budget.py`),
but a hundred tenants' suites also want all the processors there are, and an event that takes
thirty milliseconds alone waits behind them.
"""

import os
import sys
from threading import get_native_id

NICENESS = 10
"""A tenth of an ordinary thread's share where both want the same processor. Not less: whoever holds
a tenant's lock must get on with it, a live run waits for it."""


def give_way() -> None:
    """Called at the start of a run, which has a process of its own. On Linux niceness is a
    thread's, and of those that it starts; elsewhere nothing is done."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)
