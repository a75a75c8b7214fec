"""API2Cart's address, out of the address the shop itself keeps.

Prevents two shops out of one: the WooCommerce face and this one show the same people.
"""

from __future__ import annotations

from functools import lru_cache

from crm_integration.sandbox.countries import country_code
from crm_integration.sandbox.shop_state import Json

#: ISO 3166-1 alpha-3 of the alpha-2 codes that `sandbox/countries.py` can give.
_ALPHA_3 = {
    "AE": "ARE", "AT": "AUT", "AU": "AUS", "BE": "BEL", "BH": "BHR", "BM": "BMU", "BR": "BRA",
    "CA": "CAN", "CH": "CHE", "CY": "CYP", "CZ": "CZE", "DE": "DEU", "DK": "DNK", "ES": "ESP",
    "FI": "FIN", "FR": "FRA", "GB": "GBR", "GG": "GGY", "GR": "GRC", "HK": "HKG", "IE": "IRL",
    "IL": "ISR", "IS": "ISL", "IT": "ITA", "JP": "JPN", "KR": "KOR", "LB": "LBN", "LT": "LTU",
    "MT": "MLT", "NG": "NGA", "NL": "NLD", "NO": "NOR", "PL": "POL", "PT": "PRT", "SA": "SAU",
    "SE": "SWE", "SG": "SGP", "TH": "THA", "US": "USA", "ZA": "ZAF",
}  # fmt: skip
_UNUSED: Json = dict.fromkeys(("fax", "website", "gender", "region", "tax_id",
                               "identification_number", "alias"))  # fmt: skip


@lru_cache(maxsize=500)
def _country(code2: str, name: str) -> tuple[str, str, str]:
    return code2, _ALPHA_3.get(code2, ""), name


def iso3_of(country: str) -> str:
    """The alpha-3 code of a country's name, '' where it is none."""
    return _ALPHA_3.get(country_code(country), "")


def address(held: Json, kind: str, key: str, country: str) -> Json:
    """An address of `kind` (billing or shipping); `country` is the name, `held` the shop's own."""
    code2, code3, name = _country(str(held.get("country", "")), country)
    return {
        "id": key,
        "type": kind,
        "first_name": held["first_name"],
        "last_name": held["last_name"],
        "postcode": held["postcode"],
        "address1": held["address_1"],
        "address2": held["address_2"],
        "phone": held.get("phone", ""),
        "phone_mobile": "",
        "city": held["city"],
        "country": {"code2": code2, "code3": code3, "name": name} if code2 else None,
        "state": {"code": held["state"], "name": held["state"]} if held["state"] else None,
        "company": held["company"],
        "default": True,
        **_UNUSED,
    }
