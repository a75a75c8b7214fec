"""Texts to plant and the ways to write them, made without the search's own code.

Prevents one mistake from hiding in both: a form the search builds wrongly would be planted as
wrongly.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from crm_integration_tests.leaks.needles import Needle

EMAIL = Needle("e-mail", "Orlavelle.Thornbonnet.c12345@example.com")
STREET = Needle("street", "17 Zeldhürst Rōw/2")
SHORTEST = Needle("name", "Quinulfr")
TOKEN = Needle("token", "ck_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b")
NEEDLES = (EMAIL, STREET, SHORTEST, TOKEN)

FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "case-folded": lambda text: text.swapcase().encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "hex of capitals": lambda text: text.upper().encode().hex().encode(),
    "base64, first alignment": lambda text: base64.b64encode(b"abc" + text.encode() + b"z"),
    "base64, second alignment": lambda text: base64.b64encode(b"a" + text.encode() + b"z"),
    "base64, third alignment": lambda text: base64.b64encode(b"ab" + text.encode() + b"z"),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "UTF-16-LE": lambda text: text.encode("utf-16-le"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "URL-encoded": lambda text: quote(text, safe="").encode(),
    "URL-encoded form": lambda text: quote_plus(text).encode(),
    "JSON-escaped": lambda text: json.dumps(text).encode(),
    "JSON-escaped, slashes too": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "JSON-escaped, in COPY": lambda text: json.dumps(text).replace("\\", "\\\\").encode(),
}
