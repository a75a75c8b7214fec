"""Whether a delivery was signed by somebody who holds the connection's secret.

Prevents a forged order: the raw bytes are checked, before anything reads them, in constant time,
against every secret that is valid now (an old and a new one during a rotation). No secret, no
signature: nothing is accepted for want of a secret.

The timestamp of Standard Webhooks is signed and not judged: a clock that jumped, ours or theirs,
would refuse good deliveries for ever, and a replayed one is the same delivery (`drop_identity`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from crm_integration.stores._signing import WebhookSigning

_MOST_SIGNATURES = 8
"""Standard Webhooks allows several in one header, for rotations; no sender needs more."""


def is_signed(
    signing: WebhookSigning, secrets: Sequence[str], headers: Mapping[str, str], body: bytes
) -> bool:
    """Whether one of the secrets signed exactly these bytes. Header names are lower-case."""
    if signing.scheme == "secret_path":
        return True  # the caller found the connection by its path, which is the secret
    keys = [key for key in (_key(signing, one) for one in secrets) if key]
    presented, content = _presented(signing, headers), _content(signing, headers, body)
    if not keys or not presented or content is None:
        return False
    return _any_equal(presented, [_expected(signing, key, content) for key in keys])


def is_usable(signing: WebhookSigning, secret: str) -> bool:
    """Whether a key can be made of this secret."""
    return bool(_key(signing, secret))


def _key(signing: WebhookSigning, secret: str) -> bytes:
    if signing.key_form == "text":
        return secret.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _presented(signing: WebhookSigning, headers: Mapping[str, str]) -> list[bytes]:
    value = headers.get(signing.presented_in, "").strip()
    if not value:
        return []
    if signing.scheme == "standard_webhooks":
        told = [one.partition(",") for one in value.split(" ")[:_MOST_SIGNATURES]]
        return [_bytes(text) for version, _, text in told if version == "v1" and text]
    if not value.startswith(signing.prefix):
        return []
    value = value.removeprefix(signing.prefix)
    return [_bytes(value.lower() if _in_hex(signing) else value)]


def _expected(signing: WebhookSigning, key: bytes, content: bytes) -> bytes:
    if signing.scheme == "shared_header":
        return key
    made = hmac.digest(key, content, sha256)
    return made.hex().encode() if _in_hex(signing) else base64.b64encode(made)


def _content(signing: WebhookSigning, headers: Mapping[str, str], body: bytes) -> bytes | None:
    """What was signed: the body, or with Standard Webhooks `id.time.body`; None for a message
    whose id has a dot or whose time is no number, since other parts would give the same bytes."""
    if signing.scheme != "standard_webhooks":
        return body
    message, time = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message or "." in message or not (time.isascii() and time.isdigit()):
        return None
    return b".".join((_bytes(message), _bytes(time), body))


def _any_equal(presented: Iterable[bytes], expected: Sequence[bytes]) -> bool:
    """All pairs are compared, whichever fits: how long it takes tells nothing."""
    found = False
    for one in presented:
        for other in expected:
            found |= hmac.compare_digest(one, other)
    return found


def _in_hex(signing: WebhookSigning) -> bool:
    return signing.scheme == "hmac_sha256" and signing.encoding == "hex"


def _bytes(text: str) -> bytes:
    """A header's own bytes: HTTP hands them over as Latin-1."""
    return text.encode("latin-1", "replace")
