"""Countries as shops write them to ISO 3166-1 alpha-2.

Prevents one country from becoming several in the CRM: EIRE, Ireland and ie are one. Names are
CLDR's (babel, English) plus a short table of what real order books hold.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import cast

ALIASES_VERSION = 1
"""Raise it with every change of `_ALIASES`: what was derived before may differ then."""

_ALIASES: dict[str, str | None] = {
    "eire": "IE",
    "rsa": "ZA",
    # No country of its own; Guernsey and Jersey share the postal area, one code must do.
    "channel islands": "GG",
    "korea": "KR",
    "south korea": "KR",
    "republic of korea": "KR",
    "usa": "US",
    "united states of america": "US",
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "holland": "NL",
    "czech republic": "CZ",
    "hong kong": "HK",
    "uae": "AE",
    "turkey": "TR",
    "unspecified": None,
    "european community": None,
    "west indies": None,
}

_CLDR_ONLY = ("AC", "CP", "CQ", "DG", "EA", "IC", "TA")
"""Islands CLDR names that have no ISO 3166-1 code of their own."""


@lru_cache(maxsize=4096)
def country_code(text: str) -> str | None:
    """`"EIRE"`, `"ie"`, `"Ireland"` -> `"IE"`; None for what names no one country.

    Aliases come first, then codes in either case, then English CLDR names.
    """
    name = " ".join(text.split()).casefold()
    if name in _ALIASES:
        return _ALIASES[name]
    codes = _names()
    if len(name) == 2 and name.upper() in codes.values():
        return name.upper()
    return codes.get(name)


@cache
def _names() -> dict[str, str]:
    """Case-folded English names -> codes of countries (CLDR lists regions and islands, too)."""
    from babel import Locale

    territories = cast(dict[str, str], Locale("en").territories)
    not_countries = ("EU", "EZ", "UN", "QO", "ZZ", "XA", "XB", *_CLDR_ONLY)
    return {
        name.casefold(): code
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in not_countries
    }
