"""The closed registry of transforms: what each takes, what it gives, which options it knows.

Prevents code in configuration, and the value of the wrong type that a CRM refuses at night: a
mapping can only name what is here, and kinds are checked when the file is loaded.

A transform of a missing value (None or blank text) is None, never an empty guess. Each `build`
returns one plain function, called with the values of `from` in their order; it raises
ValueError (without the value in its text) when a value has no counterpart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from html import escape
from typing import Any, cast

from crm_integration.canonical.money import minor_digits
from crm_integration.mapping.model import FieldValue
from crm_integration.mapping.paths import CanonicalPath

Options = Mapping[str, Any]
Function = Callable[..., FieldValue]
Build = Callable[[Options, Sequence[CanonicalPath]], Function]

TEXTS = frozenset({"text", "enum", "currency", "country"})
_WORDS = TEXTS | {"integer"}

GIVES: dict[str, frozenset[str]] = {
    "text": frozenset({"text", "enum"}),
    "number": frozenset({"number"}),
    "moment": frozenset({"datetime"}),
    "day": frozenset({"date"}),
    "bool": frozenset({"bool"}),
}
"""What a transform gives -> the CRM kinds it fits."""


@dataclass(frozen=True)
class Transform:
    """`takes` are the accepted path kinds by position; with `repeats` the last one goes on.

    The first `least` positions must be given. `options` maps each option to its type; those in
    `needs` must be given.
    """

    name: str
    takes: tuple[frozenset[str], ...]
    gives: str
    build: Build
    least: int = 1
    repeats: bool = False
    options: Mapping[str, type] = field(default_factory=lambda: dict[str, type]())
    needs: frozenset[str] = frozenset()


class OptionProblem(ValueError):
    """An option does not fit the paths; found while loading, the text says the fix."""


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).strip() or None


def _lower(value: Any) -> str | None:
    return str(value).strip().lower() or None if value is not None else None


def _upper(value: Any) -> str | None:
    return str(value).strip().upper() or None if value is not None else None


def _same(value: Any) -> Any:
    return value


def _uuid(value: Any) -> str | None:
    return None if value is None else str(value)


def _money(minor: int | None, currency: str | None) -> str | None:
    """Minor units to decimal text by integers alone (`canonical.money`, without its Decimal)."""
    if minor is None or currency is None:
        return None
    digits = minor_digits(currency)
    if not digits:
        return str(minor)
    text = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def _iso_datetime(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _iso_date(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).date().isoformat()


def _epoch_millis(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


@cache
def _territories() -> dict[str, str]:
    from babel import Locale

    names = cast(Mapping[Any, Any], Locale("en").territories)
    return {str(code): str(name) for code, name in names.items()}


def _country_name(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    names = _territories()

    def country(code: str | None) -> str | None:
        return None if code is None else names.get(code, code)

    return country


def _truncate(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    longest = int(options["max"])
    if longest < 1:
        raise OptionProblem("'max' is below 1. Give the most characters the CRM field holds.")

    def truncated(value: Any) -> str | None:
        return None if value is None else str(value).strip()[:longest].rstrip() or None

    return truncated


def _join(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    separator = str(options.get("separator", " "))

    def joined(*values: Any) -> str | None:
        texts = [str(value).strip() for value in values if value is not None]
        return separator.join(text for text in texts if text) or None

    return joined


def _html_lines(*values: Any) -> str | None:
    """Each text on a line of its own, shown as it was written: what a shopper typed is no markup
    in the merchant's CRM."""
    texts = [str(value).strip() for value in values if value is not None]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return "<br>".join(escape(line, quote=False) for line in lines) or None


def _enum_map(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    """Every member of an enum must be mapped, or a default given; free text fails per record."""
    table: dict[str, Any] = options["map"]
    if not all(isinstance(target, str) and target for target in table.values()):
        raise OptionProblem("'map' holds a target that is no text. Put every target in quotes.")
    default = options.get("default")
    members = paths[0].values
    unknown = sorted(set(table) - set(members)) if members else []
    left = sorted(set(members) - set(table)) if default is None else []
    if unknown:
        raise OptionProblem(f"'map' names unknown values {unknown}. There are: {list(members)}.")
    if left:
        raise OptionProblem(f"'map' leaves out {left}. Map them or give a 'default'.")

    def mapped(value: Any) -> str | None:
        if value is None:
            return None
        target = table.get(value, default)
        if target is None:
            raise ValueError("a value is not in the mapping's 'map' and there is no 'default'")
        return target

    return mapped


def _phone_e164(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    """E.164 when the number is valid (in the second path's country), else the text as it came."""
    import phonenumbers

    def phone(raw: str | None, country: str | None = None) -> str | None:
        text = _text(raw)
        if text is None:
            return None
        try:
            number = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            return text
        if not phonenumbers.is_valid_number(number):
            return text
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    return phone


_HOLE = re.compile(r"\{([a-z0-9_.]+)(:money)?\}")


def _sentence(options: Options, paths: Sequence[CanonicalPath]) -> Function:
    """Parts with holes such as `{number}` or `{amount_minor:money}`; a part with an empty hole
    is left out, so that a refund without an order reads well, too."""
    position = {path.path: index for index, path in enumerate(paths)}
    currency = next((at for at, path in enumerate(paths) if path.kind == "currency"), None)
    parts = [_part(str(part), paths, position, currency) for part in options["parts"]]

    def sentence(*values: Any) -> str | None:
        return "".join([text for part in parts if (text := part(values)) is not None]) or None

    return sentence


def _part(
    template: str,
    paths: Sequence[CanonicalPath],
    position: Mapping[str, int],
    currency: int | None,
) -> Callable[[tuple[Any, ...]], str | None]:
    pieces = _HOLE.split(template)
    texts, names, money = pieces[::3], pieces[1::3], pieces[2::3]
    if any(brace in text for text in texts for brace in "{}"):
        raise OptionProblem("a hole is not readable. Write {path} or {path:money}.")
    holes: list[tuple[int, bool]] = []
    for name, as_money in zip(names, money, strict=True):
        if name not in position:
            raise OptionProblem(f"{{{name}}} is not in 'from'. List every path a part names.")
        is_minor = paths[position[name]].kind == "minor"
        if is_minor != bool(as_money) or (is_minor and currency is None):
            raise OptionProblem(f"{{{name}}} is not money as written. List 'currency' in 'from' "
                                "and write {path:money} for minor units only.")  # fmt: skip
        holes.append((position[name], is_minor))

    def part(values: tuple[Any, ...]) -> str | None:
        out = [texts[0]]
        for (at, is_minor), after in zip(holes, texts[1:], strict=True):
            value = _money(values[at], values[currency or 0]) if is_minor else _text(values[at])
            if value is None:
                return None
            out += (value, after)
        return "".join(out)

    return part


def _plain(function: Function) -> Build:
    """A transform without options."""
    return lambda options, paths: function


TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (
        Transform("text", (_WORDS,), "text", _plain(_text)),
        Transform("email", (frozenset({"text"}),), "text", _plain(_text)),
        Transform("lower", (TEXTS,), "text", _plain(_lower)),
        Transform("upper", (TEXTS,), "text", _plain(_upper)),
        Transform("uuid", (frozenset({"uuid"}),), "text", _plain(_uuid)),
        Transform("money", (frozenset({"minor"}), frozenset({"currency"})), "number",
                  _plain(_money), least=2),
        Transform("integer", (frozenset({"integer"}),), "number", _plain(_same)),
        Transform("boolean", (frozenset({"boolean"}),), "bool", _plain(_same)),
        Transform("iso_datetime", (frozenset({"datetime"}),), "moment", _plain(_iso_datetime)),
        Transform("iso_date", (frozenset({"datetime"}),), "day", _plain(_iso_date)),
        Transform("epoch_millis", (frozenset({"datetime"}),), "moment", _plain(_epoch_millis)),
        Transform("country_name", (frozenset({"country"}),), "text", _country_name),
        Transform("join", (_WORDS,), "text", _join, repeats=True, options={"separator": str}),
        Transform("html_lines", (_WORDS,), "text", _plain(_html_lines), repeats=True),
        Transform("truncate", (_WORDS,), "text", _truncate, options={"max": int},
                  needs=frozenset({"max"})),
        Transform("enum_map", (TEXTS,), "text", _enum_map, options={"map": dict, "default": str},
                  needs=frozenset({"map"})),
        Transform("phone_e164", (frozenset({"text"}), frozenset({"country"})), "text",
                  _phone_e164),
        Transform("sentence", (_WORDS | {"minor"},), "text", _sentence, repeats=True,
                  options={"parts": list}, needs=frozenset({"parts"})),
    )
}  # fmt: skip
"""Every transform there is; a new one needs a row here, a test, and a word in the README."""
