"""Whether a delivery is what it says, and what of it is kept.

Prevents the one call that a platform does not sign from becoming the door for all others: a
delivery was signed by a secret that is valid now, or it is one of those that the manifest names as
unsigned, small, and about no object.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

from crm_integration.intake.drop_identity import drop_id_of
from crm_integration.intake.path_lookup import Addressee
from crm_integration.intake.signatures import is_signed
from crm_integration.stores._contract import Delivery, Unreadable

LOOKED_INTO = 1024 * 1024
"""Bytes up to which a body is read to tell a repeat; a larger one is kept without looking."""

LARGEST_UNSIGNED = 1024
"""Bytes of a delivery that a platform sends without a signature (a ping)."""

_KEEP_OUT = ("authorization", "cookie", "proxy-authorization")

_log = logging.getLogger(__name__)


class Forged(Exception):
    """The signature is missing or does not fit, and this is nothing that comes without one."""


def can_be_checked(addressee: Addressee) -> bool:
    """Whether there is a secret, or a platform whose path is the secret."""
    signing = addressee.store.manifest.webhooks
    return signing is not None and (signing.chosen_by == "nobody" or bool(addressee.secrets()))


def came_unsigned(
    addressee: Addressee, headers: Mapping[str, str], body: bytes, plain: bytes
) -> bool:
    """False: it was signed. True: it is one of those that this platform does not sign.

    A sender may sign before it compresses or after: either proves that it holds the secret.
    Raises Forged.
    """
    signing, secrets = addressee.store.manifest.webhooks, addressee.secrets()
    if signing is None:
        raise Forged
    if is_signed(signing, secrets, headers, body):
        return False
    if plain is not body and is_signed(signing, secrets, headers, plain):
        return False
    if signing.presented_in in headers or len(plain) > LARGEST_UNSIGNED:
        raise Forged
    delivery = _delivery(addressee, headers, plain)
    if delivery is None or delivery.topic not in signing.unsigned or delivery.source_id:
        raise Forged
    return True


def identity(
    addressee: Addressee,
    headers: Mapping[str, str],
    body: bytes,
    plain: bytes,
    *,
    unsigned: bool = False,
) -> UUID:
    """The id under which it is kept, the same for a repeat. `unsigned`: as `came_unsigned` says."""
    delivery = _delivery(addressee, headers, plain) if len(plain) <= LOOKED_INTO else None
    place = (addressee.keys, addressee.connection_id)
    return drop_id_of(*place, delivery, headers, body, ping=unsigned)


def _delivery(addressee: Addressee, headers: Mapping[str, str], plain: bytes) -> Delivery | None:
    """What the delivery is about; None where nothing can be told."""
    try:
        return addressee.store.webhook.read_delivery(headers, plain)
    except Unreadable:
        return None
    except Exception as error:  # noqa: BLE001 - the request boundary: it is kept, and read later
        _log.error("a delivery could not be looked into: %s", trail(error))
        return None


def without_secrets(addressee: Addressee, headers: Mapping[str, str]) -> dict[str, str]:
    """What is kept of the headers: nothing that somebody logs in with."""
    signing = addressee.store.manifest.webhooks
    shared = signing is not None and signing.scheme == "shared_header"
    left_out = {*_KEEP_OUT, signing.header} if shared and signing else set(_KEEP_OUT)
    return {name: value for name, value in headers.items() if name not in left_out}


def trail(error: Exception) -> str:
    """Class and place: the message may carry what a sender wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {place}"
