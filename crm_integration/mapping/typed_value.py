"""A value that a person types for a CRM field, as the field's own mapping would have made it.

Prevents the edit that only moves the failure: a word into a number, a time without its zone, a
stage that is not in the list. What a mapping could never send, a person cannot either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast
from uuid import UUID

from crm_integration.canonical.identity import normal_email
from crm_integration.errors import BadInput
from crm_integration.mapping.model import FieldRule, FieldValue

LONGEST_TEXT = 65_536
"""Characters; the most that a text property of HubSpot holds, and more than any other CRM's."""

_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def typed_value(rule: FieldRule, text: str) -> FieldValue:
    """What `text` is as a value of this field; blank text is no value.

    Raises BadInput, which names the field and the fix and never the value, for what does not fit
    the field's kind, length or set of values, and for fields whose value no person decides here.
    """
    _refuse_untouchable(rule)
    text = text.strip()
    if not text:
        if rule.required:
            raise BadInput(f"{rule.name} is required: give a value")
        return None
    allowed = allowed_values(rule)
    if allowed and text not in allowed:
        raise BadInput(f"{rule.name} takes one of: {', '.join(allowed)}")
    reader = _BY_TRANSFORM.get(rule.transform or "") or _BY_KIND[rule.kind]
    return reader(rule, text)


def allowed_values(rule: FieldRule) -> tuple[str, ...]:
    """The only values this field's mapping can give, none where any value may come."""
    if rule.order:
        return rule.order
    if rule.transform != "enum_map":
        return ()
    targets = cast(Mapping[str, Any], rule.options["map"]).values()
    default = [rule.options["default"]] if "default" in rule.options else []
    return tuple(dict.fromkeys(str(one) for one in (*targets, *default)))


def _refuse_untouchable(rule: FieldRule) -> None:
    if rule.rule == "never":
        raise BadInput(f"{rule.name} belongs to the CRM and is never written: change it there")
    if rule.rule in ("consent", "with_consent"):
        raise BadInput(
            f"{rule.name} is decided by what a person said about being written to: record that in "
            "the store or in the CRM"
        )


def _text(rule: FieldRule, text: str) -> str:
    longest = int(rule.options.get("max", LONGEST_TEXT))
    if len(text) > longest:
        raise BadInput(f"{rule.name} takes at most {longest} characters")
    if any(ord(one) < 32 and one not in "\n\t" for one in text):
        raise BadInput(f"{rule.name} takes no control characters: remove them")
    return text


def _number(rule: FieldRule, text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > 100:
        raise BadInput(f"{rule.name} takes a number, such as 12.30")
    return f"{number:f}"


def _integer(rule: FieldRule, text: str) -> int:
    number = Decimal(_number(rule, text))
    if number != number.to_integral_value():
        raise BadInput(f"{rule.name} takes a whole number")
    return int(number)


def _bool(rule: FieldRule, text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise BadInput(f"{rule.name} takes true or false")
    return text.lower() in _YES


def _moment(rule: FieldRule, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput(f"{rule.name} takes a time with its zone, such as 2026-03-01T12:00:00Z")
    return moment.astimezone(UTC)


def _iso_datetime(rule: FieldRule, text: str) -> str:
    return _moment(rule, text).isoformat(timespec="milliseconds")[:-6] + "Z"


def _epoch_millis(rule: FieldRule, text: str) -> int:
    return round(_moment(rule, text).timestamp() * 1000)


def _date(rule: FieldRule, text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 - a day
    except ValueError:
        pass
    raise BadInput(f"{rule.name} takes a day, such as 2026-03-01")


def _email(rule: FieldRule, text: str) -> str:
    if normal_email(text) is None:
        raise BadInput(f"{rule.name} takes an e-mail address, such as ada@example.com")
    return _text(rule, text)


def _phone(rule: FieldRule, text: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise BadInput(f"{rule.name} takes a number with its country, such as +44 20 7946 0018")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _uuid(rule: FieldRule, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        pass
    raise BadInput(f"{rule.name} takes a UUID")


Reader = Callable[[FieldRule, str], FieldValue]

_BY_TRANSFORM: Mapping[str, Reader] = {
    "integer": _integer,
    "iso_datetime": _iso_datetime,
    "epoch_millis": _epoch_millis,
    "email": _email,
    "phone_e164": _phone,
    "uuid": _uuid,
}
_BY_KIND: Mapping[str, Reader] = {
    "text": _text,
    "enum": _text,
    "number": _number,
    "datetime": _iso_datetime,
    "date": _date,
    "bool": _bool,
}
