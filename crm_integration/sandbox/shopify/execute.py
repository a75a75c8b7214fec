"""Runs a plan: one small function for every field, put together before the first object is read.

Prevents an emulator so slow that a demo of a real order book becomes a test of the emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crm_integration.sandbox.shopify import refusals
from crm_integration.sandbox.shopify.listing import BadPage
from crm_integration.sandbox.shopify.plan import Planned

Json = dict[str, Any]
Reader = Callable[[Any], Any]
Named = Callable[[Any], str]


def renderer(selection: list[Planned], named: Named) -> Callable[[Any], Json]:
    """A function from an object to its part of the answer; `named` tells an object's type."""
    pairs = [(one.key, reader(one, named)) for one in selection]

    def render(source: Any) -> Json:
        return {key: read(source) for key, read in pairs}

    return render


def reader(planned: Planned, named: Named) -> Reader:
    """A function from an object to the value of one of its fields."""
    if planned.denied:
        return _denied(planned)
    if planned.name == "__typename":
        type_name = planned.type_name
        return lambda _: type_name
    read = _reading(planned)
    if not planned.selections:
        return read
    if planned.spec.is_connection:
        return _connection(planned, read, named)
    return _nested(planned, read, rendering(planned, named))


def rendering(planned: Planned, named: Named) -> Callable[[Any], Json]:
    """The function for what a field gives; of several types it is chosen by the object."""
    renders = {kind: renderer(held, named) for kind, held in planned.selections.items()}
    if len(renders) == 1:
        return next(iter(renders.values()))

    def render(source: Any) -> Json:
        return renders[named(source)](source)

    return render


def _reading(planned: Planned) -> Reader:
    read, call = planned.spec.read, planned.call
    if not planned.spec.asks:
        return read
    return lambda source: read(source, call)


def _nested(planned: Planned, read: Reader, render: Callable[[Any], Json]) -> Reader:
    if planned.spec.is_list:

        def several(source: Any) -> list[Any]:
            return [None if one is None else render(one) for one in read(source)]

        return several

    def single(source: Any) -> Json | None:
        held = read(source)
        return None if held is None else render(held)

    return single


def _connection(planned: Planned, read: Reader, named: Named) -> Reader:
    render, page = rendering(planned, named), planned.page
    if page is None:  # a plan for a bulk operation is never read page by page
        raise refusals.bad_request("you must provide one of first or last", planned.node, ())

    def paged(source: Any) -> Json:
        try:
            window = read(source).window(page)
        except BadPage as wrong:
            raise refusals.bad_request(str(wrong), planned.node, planned.path) from wrong
        planned.largest = max(planned.largest, len(window.nodes))
        return render(window)

    return paged


def _denied(planned: Planned) -> Reader:
    """A denied field is null and told once; one that cannot be null takes all data with it."""
    told = refusals.access_denied(planned.node, planned.path, planned.name, planned.denied)
    errors = planned.call.operation.errors

    def refuse(_: Any) -> None:
        if not planned.spec.nullable:
            raise refusals.Refused([told], with_data=True)
        if told not in errors:
            errors.append(told)

    return refuse


def named_by(types: Mapping[type, str]) -> Named:
    """Tells an object's GraphQL type by its Python class."""
    return lambda source: types[type(source)]
