"""`python -m crm_integration_tests.oracle URL`: what the CRMs of a seeded world hold, judged.

Prevents a certificate that the engine writes for itself: a process of its own, which imports
nothing of the engine, reads the shops' state and the CRMs' records over HTTP. One JSON document.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

from crm_integration_tests.oracle.street.books import books_of
from crm_integration_tests.oracle.street.counts import Counts, counted
from crm_integration_tests.oracle.street.crm import Crm, read
from crm_integration_tests.oracle.street.verdict import Verdict, foreign, judge


def main() -> None:
    """Read, judge, print."""
    url = sys.argv[1].rstrip("/")
    with httpx.Client(timeout=60, trust_env=False) as client:
        world = client.get(f"{url}/world/state").raise_for_status().json()
    verdict, counts = Verdict(), dict[str, Counts]()
    names = [one["name"] for one in world["tenants"]]
    for tenant in world["tenants"]:
        name = tenant["name"]
        crm = read(tenant["crm_url"], tenant["crm_token"])
        sales, counts[name] = world["sales"], counted(tenant, crm)
        twice = frozenset(email for whose, email in sales["twice"] if whose == name)
        books = books_of(tenant, _opted_out(crm, sales, name), twice)
        judge(verdict, name, books, crm, _theirs(sales, name))
        for words in foreign(crm, name, [one for one in names if one != name]):
            verdict.find("cross_tenant", words)
    sys.stdout.write(json.dumps({**verdict.json(), "counted": counts}) + "\n")


def _opted_out(crm: Crm, sales: Any, tenant: str) -> frozenset[str]:
    """E-mails of contacts whose owner opted out in the CRM, before the store spoke again."""
    ids = {str(record) for whose, record in sales["opted_out"] if whose == tenant}
    return frozenset(one.key for one in crm.records if one.record_id in ids)


def _theirs(sales: Any, tenant: str) -> dict[tuple[str, str], str]:
    return {
        (str(one["record_id"]), one["field"]): one["value"]
        for one in sales["edits"]
        if one["tenant"] == tenant
    }


if __name__ == "__main__":
    main()
