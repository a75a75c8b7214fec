"""A portal's properties: the standard ones, those a connector defines, and what they accept.

Prevents the failure where a mapping writes to a property that does not exist, or text into a
number, and an emulator that takes everything hides it until the first real account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]

LIFECYCLE_STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead",
                    "opportunity", "customer", "evangelist", "other")  # fmt: skip
_LEAD_STATUSES = ("NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED",
                  "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING")  # fmt: skip
_TEXT = {
    "contacts": "email firstname lastname phone mobilephone company address city state zip country"
    " jobtitle hs_additional_emails hubspot_owner_id website",
    "companies": "name domain phone address address2 city state zip country industry website"
    " description hubspot_owner_id",
    "products": "name hs_sku description hs_product_type hs_status hs_url",
    "orders": "hs_order_name hs_external_order_id hs_external_order_status hs_currency_code"
    " hs_payment_processing_method hs_fulfillment_status hs_payment_status hs_source_store"
    " hs_order_note hs_external_order_url hs_pipeline hs_pipeline_stage"
    " hs_billing_address_email hs_billing_address_city hs_billing_address_country"
    " hs_shipping_address_city hs_shipping_address_country hubspot_owner_id",
    "notes": "hs_note_body hubspot_owner_id",
    "deals": "dealname dealstage pipeline hubspot_owner_id",
    "line_items": "name hs_sku hs_product_id hs_line_item_currency_code",
    "tickets": "subject content hs_pipeline hs_pipeline_stage",
    "carts": "hs_cart_name hs_external_cart_id hs_external_status hs_cart_url hs_currency_code"
    " hs_source_store hs_tags hubspot_owner_id",
}
_NUMBERS = {
    "products": "price hs_cost_of_goods_sold",
    "orders": "hs_total_price hs_subtotal_price hs_tax hs_order_discount hs_shipping_cost"
    " hs_refund_amount",
    "deals": "amount",
    "line_items": "price quantity amount",
    "carts": "hs_total_price hs_cart_discount hs_tax hs_shipping_cost",
    "companies": "numberofemployees annualrevenue",
}
_TIMES = {
    "orders": "hs_external_created_date hs_processed_date",
    "notes": "hs_timestamp",
    "deals": "closedate",
}
_NUMBER_OF_TYPE = {
    "contacts": "0-1", "companies": "0-2", "deals": "0-3", "tickets": "0-5", "products": "0-7",
    "line_items": "0-8", "notes": "0-46", "orders": "0-123", "carts": "0-142",
}  # fmt: skip
OPT_OUT = "hs_email_optout"
MERGEABLE = frozenset({"contacts", "companies", "deals", "tickets"})
MERGED_IDS = "hs_merged_object_ids"
"""Ids of all records that went into one, also through a merge of merges; by semicolons."""
#: What a read returns when it names no properties.
DEFAULTS = {
    "companies": ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate",
                 "lastname"),
    "products": ("createdate", "description", "hs_lastmodifieddate", "hs_object_id", "name",
                 "price"),
}  # fmt: skip


class InvalidValue(ValueError):
    """A write HubSpot refuses: its error `code` and the property's `name`."""

    def __init__(self, message: str, *, code: str, name: str) -> None:
        super().__init__(message)
        self.code, self.name = code, name


def object_type(name: str) -> str | None:
    """The plural name for `contact`, `contacts` or `0-1`; None for no such type."""
    lowered = name.lower()
    for plural, number in _NUMBER_OF_TYPE.items():
        if lowered in {plural, singular(plural), number}:
            return plural
    return None


def singular(plural: str) -> str:
    """`company` for `companies`."""
    return "company" if plural == "companies" else plural[:-1]


def type_number(plural: str) -> str:
    """HubSpot's id of an object type (0-1 contacts)."""
    return _NUMBER_OF_TYPE[plural]


def modified_property(plural: str) -> str:
    return "lastmodifieddate" if plural == "contacts" else "hs_lastmodifieddate"


def created_property(plural: str) -> str:
    return "createdate" if plural in {"contacts", "companies", "products"} else "hs_createdate"


@dataclass(frozen=True, slots=True)
class Property:
    """One property; `kind` is string, number, datetime, date, bool or enumeration."""

    name: str
    kind: str
    field_type: str = "text"
    label: str = ""
    group: str = ""
    description: str = ""
    unique: bool = False
    read_only: bool = False
    options: tuple[str, ...] = ()
    option_json: tuple[Json, ...] = field(default=(), compare=False)
    hubspot_defined: bool = True

    def json(self) -> Json:
        options = list(self.option_json) or [
            {"label": value, "value": value, "displayOrder": n, "hidden": False}
            for n, value in enumerate(self.options)
        ]
        return {
            "name": self.name,
            "label": self.label or self.name,
            "type": self.kind,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": options,
            "displayOrder": -1,
            "calculated": False,
            "externalOptions": False,
            "hasUniqueValue": self.unique,
            "hidden": False,
            "hubspotDefined": self.hubspot_defined,
            "formField": True,
            "archived": False,
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
        }


def standard_properties(plural: str) -> dict[str, Property]:
    """What every account has for a type before anybody defines anything."""
    found: dict[str, Property] = {}
    for names, kind in ((_TEXT, "string"), (_NUMBERS, "number"), (_TIMES, "datetime")):
        for name in names.get(plural, "").split():
            found[name] = Property(name, kind, group=f"{plural}information")
    for name in (created_property(plural), modified_property(plural)):
        found[name] = Property(name, "datetime", read_only=True)
    found["hs_object_id"] = Property("hs_object_id", "number", unique=True, read_only=True)
    if plural in MERGEABLE:
        found[MERGED_IDS] = Property(MERGED_IDS, "string", read_only=True)
    if plural == "contacts":
        found["email"] = Property("email", "string", unique=True)
        stages = Property("lifecyclestage", "enumeration", "radio", options=LIFECYCLE_STAGES)
        status = Property("hs_lead_status", "enumeration", "radio", options=_LEAD_STATUSES)
        # HubSpot sets it when the person unsubscribes from all e-mail; the API cannot.
        opt_out = Property(OPT_OUT, "bool", "booleancheckbox", options=("true", "false"),
                           read_only=True)  # fmt: skip
        found |= {"lifecyclestage": stages, "hs_lead_status": status, OPT_OUT: opt_out}
    if plural == "companies":
        stages = Property("lifecyclestage", "enumeration", "radio", options=LIFECYCLE_STAGES)
        found["lifecyclestage"] = stages
    return found


_KINDS = {"string", "number", "datetime", "date", "bool", "enumeration"}


def defined(body: Json) -> Property:
    """A property from a POST body.

    Raises:
        InvalidValue: a name or type HubSpot does not take.
    """
    name, kind = str(body.get("name", "")), str(body.get("type", ""))
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name):
        raise InvalidValue(
            f"Property name '{name}' must be lower case letters, digits and underscores,"
            " starting with a letter", code="INVALID_NAME", name=name,
        )  # fmt: skip
    if kind not in _KINDS:
        raise InvalidValue(f"Invalid property type '{kind}'", code="INVALID_TYPE", name=name)
    options: tuple[Json, ...] = tuple(body.get("options") or ())
    return Property(
        name,
        kind,
        field_type=str(body.get("fieldType", "text")),
        label=str(body.get("label", name)),
        group=str(body.get("groupName", "")),
        description=str(body.get("description", "")),
        unique=bool(body.get("hasUniqueValue", False)),
        options=tuple(str(option.get("value", "")) for option in options),
        option_json=options,
        hubspot_defined=False,
    )


def normalised(known: Mapping[str, Property], given: Mapping[str, Any]) -> dict[str, str]:
    """Properties as HubSpot stores them: strings, blanks trimmed, numbers shortest, times UTC.

    Raises:
        InvalidValue: an unknown or read-only property, or a value of the wrong type.
    """
    stored: dict[str, str] = {}
    for name, value in given.items():
        definition = known.get(name)
        if definition is None:
            raise InvalidValue(
                f'Property "{name}" does not exist', code="PROPERTY_DOESNT_EXIST", name=name
            )
        if definition.read_only:
            raise InvalidValue(
                f'"{name}" is a read only property; its value cannot be set.',
                code="READ_ONLY_VALUE", name=name,
            )  # fmt: skip
        stored[name] = _stored(definition, value)
    return stored


def _stored(definition: Property, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = "" if value is None else str(value).strip()
    if not text:
        return ""
    if definition.name == "email":
        return _email(text)
    if definition.kind == "number":
        return _number(definition.name, text)
    if definition.kind in {"datetime", "date"}:
        return _time(definition, text)
    allowed = definition.options if definition.kind == "enumeration" else ()
    if definition.kind == "bool":
        allowed = ("true", "false")
    if allowed and any(part not in allowed for part in text.split(";")):
        raise InvalidValue(
            f"{text} was not one of the allowed options: [{', '.join(allowed)}]",
            code="INVALID_OPTION", name=definition.name,
        )  # fmt: skip
    if len(text) > 65_536:
        raise InvalidValue(
            f"{definition.name} is longer than 65536 characters",
            code="VALUE_TOO_LONG", name=definition.name,
        )  # fmt: skip
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", text):
        raise InvalidValue(f"Email address {text} is invalid", code="INVALID_EMAIL", name="email")
    return text.lower()


def _number(name: str, text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidValue(f"{text} was not a valid number.", code="INVALID_LONG", name=name)
    shortest = format(number, "f")
    if "." in shortest:
        shortest = shortest.rstrip("0").rstrip(".")
    return "0" if shortest in {"-0", ""} else shortest


def _time(definition: Property, text: str) -> str:
    try:
        if re.fullmatch(r"-?\d+", text):
            moment = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidValue(
            f"{text} was not a valid date.", code="INVALID_DATE", name=definition.name
        ) from error
    if definition.kind == "date":
        return moment.date().isoformat()
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return zulu(moment)


def zulu(moment: datetime) -> str:
    """HubSpot's time format: UTC, milliseconds, Z."""
    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
