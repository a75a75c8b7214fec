"""E-mail addresses that say nothing about who somebody is.

Prevents the shop's most loyal customer, `noreply@shop.example`, who bought three thousand times:
placeholders, marketplace relays and the shop's own addresses join nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

NOT_KEYS_VERSION = 1
"""As in `not_keys.yaml`; raise both with every change."""


@dataclass(frozen=True)
class NotKeys:
    """What one tenant's addresses are judged by: hosts of its shops, and its own list."""

    hosts: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @cached_property
    def version(self) -> str:
        """Differs when an address may be judged otherwise than before."""
        listed = (sorted(self.hosts), sorted(self.addresses), sorted(self.domains))
        return f"{NOT_KEYS_VERSION} {listed}"

    def covers(self, email: str) -> bool:
        """True for a normalised address that is no key."""
        local, _, domain = email.rpartition("@")
        return (
            email in self.addresses
            or domain in self.domains
            or is_placeholder(local, domain)
            or any(owns(host, domain) for host in self.hosts)
        )


def not_keys(hosts: Iterable[str], listed: Iterable[str]) -> NotKeys:
    """From base URLs or account ids of shops, and a merchant's list of addresses and domains."""
    entries = {entry.strip().lower() for entry in listed} - {""}
    return NotKeys(
        frozenset(found for host in hosts if (found := _host(host))),
        frozenset(entry for entry in entries if entry.find("@") > 0),
        frozenset(entry.lstrip("@") for entry in entries if entry.find("@") <= 0),
    )


def is_placeholder(local: str, domain: str) -> bool:
    """True for an address that nobody in particular reads."""
    data = _data()
    labels = domain.split(".")
    if local.partition("+")[0] in data["local_parts"] or labels[-1] in data["nowhere"]:
        return True
    words = data["placeholder_words"]
    return (local in words and labels[0] in words) or bool(_relays().fullmatch(domain))


def owns(host: str, domain: str) -> bool:
    """True when a shop at `host` answers mail at `domain`: `shop.aurora.com` owns `aurora.com`."""
    if host == domain:
        return True
    return host.endswith(f".{domain}") and domain not in _data()["shop_hosts"] and "." in domain


def _host(text: str) -> str:
    host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    is_number = re.fullmatch(r"[\d.:]+", host)
    return "" if is_number or "." not in host else host.removeprefix("www.")


@cache
def _data() -> Mapping[str, frozenset[str]]:
    import yaml

    text = files("crm_integration.canonical").joinpath("not_keys.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return {name: frozenset(found[name]) for name in found if name != "version"}


@cache
def _relays() -> re.Pattern[str]:
    shapes = (re.escape(one).replace(r"\*", "[a-z]+") for one in sorted(_data()["relays"]))
    return re.compile("|".join(shapes))
