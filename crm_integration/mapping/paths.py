"""Which paths a mapping may read of an entity, and what kind of value each yields.

Prevents the typo that reads nothing for a year, and cents sent as whole euros: every path is
checked against the canonical view's own annotations before a mapping is used.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from crm_integration.canonical.consents import ConsentState
from crm_integration.canonical.entities import ENTITIES


@dataclass(frozen=True)
class CanonicalPath:
    """One readable path. `steps` are (name, may be None) from the outside in.

    `kind`: text, enum, currency, country, integer, minor, datetime, boolean or uuid. `values`
    are an enum's members. Minor units are a kind of their own: only `money` may read them.
    """

    path: str
    kind: str
    steps: tuple[tuple[str, bool], ...]
    values: tuple[str, ...] = ()

    @property
    def is_consent(self) -> bool:
        """Whether the value is what a person decided about being written to."""
        return self.values == tuple(ConsentState)


@cache
def mappable_entities() -> tuple[str, ...]:
    """Entities that a mapping may name: those with a view of their own."""
    return tuple(name for name, entity in ENTITIES.items() if entity.view is not None)


@cache
def canonical_paths(entity: str) -> dict[str, CanonicalPath]:
    """All paths of the entity's view. Raises KeyError for an entity that is unknown or has no
    view of its own (`mappable_entities`)."""
    view = ENTITIES[entity].view
    if view is None:
        raise KeyError(f"{entity} has no view of its own; map one of {mappable_entities()}")
    return {path.path: path for path in _walk(view, ())}


def suggest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """A fix in one sentence: the nearest known word, or all of them."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else f"Use one of: {', '.join(sorted(known))}."


def _walk(model: type[BaseModel], before: tuple[tuple[str, bool], ...]) -> list[CanonicalPath]:
    found: list[CanonicalPath] = []
    for name, info in model.model_fields.items():
        plain, optional = _unwrapped(info.annotation)
        steps = (*before, (name, optional))
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            found += _walk(plain, steps)
            continue
        kind = _kind(name, plain)
        if kind is not None:
            dotted = ".".join(step for step, _ in steps)
            found.append(CanonicalPath(dotted, kind, steps, _members(plain)))
    return found


def _unwrapped(annotation: Any) -> tuple[Any, bool]:
    """The bare type behind Annotated and `| None`, and whether None is allowed."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _unwrapped(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _unwrapped(members[0])[0], True
    return annotation, False


def _members(plain: Any) -> tuple[str, ...]:
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return tuple(member.value for member in plain)
    return ()


def _kind(name: str, plain: Any) -> str | None:
    """None for lists and anything else a CRM field cannot hold: such a path does not exist."""
    if not isinstance(plain, type):
        return None
    if issubclass(plain, StrEnum):
        return "enum"
    if plain is str:
        return name if name in {"currency", "country"} else "text"
    if plain is int:
        return "minor" if name.endswith("_minor") else "integer"
    kinds: dict[Any, str] = {datetime: "datetime", bool: "boolean", UUID: "uuid"}
    return kinds.get(plain)
