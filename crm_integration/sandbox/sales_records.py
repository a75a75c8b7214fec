"""What a merchant's sales people typed into the CRM before anything of ours came.

Prevents the failure of a demo into an empty CRM: every real one holds the merchant's customers
already, without our key, with values of their own, some of them twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm_integration.sandbox.identities import stable_number
from crm_integration.sandbox.portal_state import PortalState
from crm_integration.sandbox.shop_edits import email_of
from crm_integration.sandbox.shop_state import ShopState

_JOBS = ("Head of Buying", "Shop Owner", "Purchasing Assistant", "Managing Partner")
_STATUSES = ("CONNECTED", "OPEN_DEAL", "IN_PROGRESS", "ATTEMPTED_TO_CONTACT")
_STAGES = ("", "", "lead", "opportunity", "evangelist")
_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SalesEntries:
    """Account ids of the shop: those sales entered once, and those entered twice."""

    entered: tuple[int, ...]
    twice: tuple[int, ...]


def enter(
    portal: PortalState, shop: ShopState, customers: list[int], *, percent: float
) -> SalesEntries:
    """Enter `percent` of these accounts, and one other account twice if none was so far.

    HubSpot keeps e-mails in lower case, so accounts that write theirs with capitals come first:
    the CRM's spelling then differs from the shop's.
    """
    if percent <= 0 or not customers:
        return SalesEntries((), ())
    ranked = sorted(customers, key=lambda key: _rank(shop, key))
    count = min(len(ranked), max(1, round(len(ranked) * percent / 100)))
    for key in ranked[:count]:
        _enter(portal, shop, key, copy=0)
    twice = () if portal.seeded_twice else tuple(ranked[count : count + 1])
    for key in twice:
        _enter(portal, shop, key, copy=1)
        _enter(portal, shop, key, copy=2)
        portal.seeded_twice = True
    return SalesEntries(tuple(ranked[:count]), twice)


def _rank(shop: ShopState, key: int) -> tuple[bool, int]:
    email = email_of(shop, shop.customers[key])
    return email == email.lower(), stable_number(f"{shop.settings.seed}|sales|{key}", 2**63)


def _enter(portal: PortalState, shop: ShopState, key: int, *, copy: int) -> None:
    draw = stable_number(f"{shop.settings.seed}|entry|{key}|{copy}", 2**63)
    customer = shop.customers[key]
    stage = _STAGES[draw % len(_STAGES)]
    properties = {
        "email": email_of(shop, customer).swapcase(),
        "firstname": f"Nicknamed{draw % 97}",
        "phone": f"07700 900{draw % 1000:03d}",
        "jobtitle": _JOBS[draw % len(_JOBS)],
        "hs_lead_status": _STATUSES[draw // 7 % len(_STATUSES)],
        **({"lifecyclestage": stage} if stage else {}),
    }
    portal.seed("contacts", properties, created=customer.created - _A_DAY * (30 + draw % 300))
