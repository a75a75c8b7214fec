"""Puts the lines of a bulk file together into whole objects.

Prevents two losses: a file that broke off is never taken for a small shop (its lines are counted
against what the operation says before the first object is handed on), and an object whose lines
lie apart or before it is whole all the same. The file is therefore read twice; only counts by
object are held meanwhile (some 100 bytes each), and on the second reading the objects that are
not complete so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from crm_integration.errors import Transient
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._cutting import NotSplittable, whole
from crm_integration.stores.shopify.objects import tail

Reread = Callable[[], Iterable[bytes]]
"""Opens the file anew, line by line."""


@dataclass(frozen=True)
class Counted:
    """What the operation says: objects of all kinds (lines), and those of the listed type."""

    objects: int
    roots: int


@dataclass
class Group:
    """One object: its own line, and the lines that name it as their parent, in their order."""

    root: tuple[JsonObject, bytes] | None = None
    children: list[tuple[JsonObject, bytes]] = field(default_factory=list[tuple[JsonObject, bytes]])

    @property
    def size(self) -> int:
        return (self.root is not None) + len(self.children)


def groups(reread: Reread, counted: Counted) -> Iterator[Group]:
    """Whole objects, in the order in which they become complete: the same at every reading.

    Raises Transient for a file that is not what the operation counted.
    """
    expected = _survey(reread(), counted)
    open_groups: dict[int, Group] = {}
    for value, line in _decoded(reread()):
        key, is_root = _place(value)
        group = open_groups.setdefault(key, Group())
        if is_root:
            group.root = (value, line)
        else:
            group.children.append((value, line))
        if group.size == expected.get(key):
            yield open_groups.pop(key)
    if open_groups:
        raise _changed("the file is another one at its second reading")


def _survey(file: Iterable[bytes], counted: Counted) -> dict[int, int]:
    """Lines by object. Raises Transient where the numbers differ or a parent is absent."""
    sizes: dict[int, int] = {}
    roots: set[int] = set()
    lines = 0
    for value, _ in _decoded(file):
        key, is_root = _place(value)
        sizes[key] = sizes.get(key, 0) + 1
        lines += 1
        if is_root:
            roots.add(key)
    if lines != counted.objects:
        raise _changed(f"{lines} lines arrived, the operation counted {counted.objects}")
    if len(roots) != counted.roots:
        raise _changed(f"{len(roots)} objects arrived, the operation counted {counted.roots}")
    if len(sizes) != len(roots):
        raise _changed(f"{len(sizes) - len(roots)} parents of lines are not in the file")
    return sizes


def _decoded(file: Iterable[bytes]) -> Iterator[tuple[JsonObject, bytes]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield whole(line), line.strip()
        except NotSplittable as error:
            raise _changed(f"line {number} is no JSON object ({error.reason})") from error


def _place(value: JsonObject) -> tuple[int, bool]:
    """The number of the object that a line belongs to, and whether it is that object itself."""
    parent = value.get("__parentId")
    number = tail(value.get("id") if parent is None else parent)
    if number is None:
        raise _changed("a line has neither an id nor a parent")
    return int(number), parent is None


def _changed(what: str) -> Transient:
    return Transient(
        f"the bulk file cannot be used: {what}; it is made anew",
        retry_after=60.0,
        code="bulk_incomplete",
    )
