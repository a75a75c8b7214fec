"""Deliberate defects, by name."""

from __future__ import annotations


def apply(name: str) -> None:
    """Put the defect of this name into this process; "" is none."""
