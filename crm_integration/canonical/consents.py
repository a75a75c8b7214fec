"""Consent: what a person said about being written to, on which channel, when, and how firmly.

Prevents the newsletter sent to somebody who opted out: consent is a list of events with their
own times, never a flag that the last writer wins (architecture, promise 5).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from crm_integration.canonical.model import StoreObject, UtcTime

CONSENT_SCHEMA = 1

CustomerKindText = Annotated[str, Field(pattern="^(registered|guest|lead)$")]


SpeakerKindText = Annotated[str, Field(pattern="^(registered|guest|lead|crm)$")]
"""`crm`: what people set in the CRM of our customer, whose id then is the source id."""


class Channel(StrEnum):
    """Where a person may be written to."""

    email = "email"
    sms = "sms"


class ConsentState(StrEnum):
    """What was said. `never_asked` and `pending` (an unanswered double opt-in) permit nothing."""

    subscribed = "subscribed"
    unsubscribed = "unsubscribed"
    pending = "pending"
    never_asked = "never_asked"


class OptInLevel(StrEnum):
    """How firmly an opt-in was given, weakest first (M3AAWG's levels, as Shopify names them)."""

    unknown = "unknown"
    single = "single"
    confirmed = "confirmed"


class Consent(StoreObject):
    """The newest word of one store identity on one channel.

    `source_id` is `<kind>/<customer source id>/<channel>`. `consented_at` is the store's own
    consent time, None where it states none: the event then counts from the first receipt of the
    changed value, never from updated_at. `explicit` is False where the store only implies it
    (a checkbox that is ticked by default, an imported list).
    """

    customer_kind: SpeakerKindText
    customer_source_id: str
    channel: Channel
    state: ConsentState
    level: OptInLevel = OptInLevel.unknown
    explicit: bool = False
    consented_at: UtcTime | None = None
    basis: str = ""
    """Where it was said, as the store names it: `checkout`, `account`, `import` …"""
