"""Secrets on their way in: asked for without echo, or JSON on standard input.

Prevents a secret on the command line, where every user of the machine and the shell's history can
read it.
"""

from __future__ import annotations

import json
import sys

import typer

from crm_integration.errors import BadInput


def asked_for(names: tuple[str, ...]) -> dict[str, str]:
    """Each of these, from a person."""
    return {name: typer.prompt(name, hide_input=True, err=True) for name in names}


def from_stdin() -> dict[str, str]:
    """One JSON object of texts. Raises BadInput for anything else."""
    try:
        found = json.load(sys.stdin)
    except ValueError as error:
        raise BadInput('standard input is not JSON: give {"name": "secret", …}') from error
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise BadInput('standard input is no JSON object of texts: give {"name": "secret", …}')
    return found
