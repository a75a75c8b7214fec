"""Finds the companies that customers name, and counts who belongs to them.

Prevents `Miller & Sons Ltd.` and `MILLER AND SONS LIMITED` from becoming two companies in the
CRM: a company's key is its name without case, punctuation and legal form, within a country.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from unicodedata import combining, normalize
from uuid import UUID

from sqlalchemy import func, select, update

from crm_integration.canonical.companies import COMPANY_SCHEMA, Company
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import upsert_versions
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customers
from crm_integration.storage.tables.commerce import companies
from crm_integration.tenancy.scope import TenantScope

_LEGAL_FORMS = frozenset(
    ("ab", "ag", "as", "asa", "bv", "bvba", "co", "company", "corp", "corporation", "eg", "gmbh",
     "inc", "incorporated", "kg", "limited", "llc", "llp", "ltd", "mbh", "nv", "oy", "plc", "pte",
     "pty", "sa", "sarl", "sas", "sl", "spa", "srl", "ug")
)  # fmt: skip
_COLUMNS = ("connection_id", "source_id", "country", "sealed")


@dataclass(frozen=True)
class CompanySaid:
    """What a customer says about the firm they buy for, and from which raw record."""

    name: str
    city: str
    country: str | None
    connection_id: str
    raw_id: int
    source_time: datetime
    observation: int


def normal_company(name: str) -> str:
    """`Müller & Söhne GmbH` -> `muller and sohne`; "" for a name that says nothing."""
    folded = normalize("NFKD", name.replace("&", " and ")).casefold()
    bare = "".join(letter for letter in folded if not combining(letter))
    words = re.findall(r"\w+", bare.replace(".", ""))
    while len(words) > 1 and words[-1] in _LEGAL_FORMS:
        words.pop()
    return " ".join(words)


def found_companies(
    scope: TenantScope, said: Mapping[UUID, CompanySaid], stamp: Stamp
) -> dict[UUID, UUID | None]:
    """Upsert the companies these customers name, tie the customers to them and count them anew.

    Returns customer -> company, None for a customer who names none. The customers' rows exist.
    """
    belongs: dict[UUID, UUID | None] = {}
    newest: dict[UUID, Sourced[Company]] = {}
    for customer_id, one in said.items():
        found = _company(scope, one)
        belongs[customer_id] = None if found is None else found[0]
        if found is not None and _is_newer(found[1], newest.get(found[0])):
            newest[found[0]] = found[1]
    if not belongs:
        return {}
    rows = [_row(scope, company_id, one, stamp) for company_id, one in newest.items()]
    upsert_versions(scope, companies, "company_id", _COLUMNS, rows)
    _tie(scope, belongs)
    return belongs


def recount_companies(scope: TenantScope, customer_ids: Collection[UUID]) -> None:
    """Count the people of the companies of these customers, whether they live or were merged."""
    if not customer_ids:
        return
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in customer_ids])
    rows = scope.connection.execute(
        select(customers.c.company_id)
        .distinct()
        .join_from(asked, customers, customers.c.customer_id == asked.c.customer_id)
        .where(customers.c.tenant_id == scope.tenant, customers.c.company_id.is_not(None))
    )
    _count(scope, {row.company_id for row in rows})


def _company(scope: TenantScope, said: CompanySaid) -> tuple[UUID, Sourced[Company]] | None:
    key = normal_company(said.name)
    if not key:
        return None
    digest = scope.keys.digest("company", f"{key}\x1f{said.country or ''}".encode())
    item = Company(
        source_id=digest[:16].hex(),
        source_time=said.source_time,
        name=said.name,
        city=said.city,
        country=said.country,
    )
    sourced = Sourced(item, said.connection_id, said.raw_id, said.observation)
    return UUID(bytes=digest[:16], version=4), sourced


def _is_newer(one: Sourced[Company], other: Sourced[Company] | None) -> bool:
    return other is None or _version(one) > _version(other)


def _version(one: Sourced[Company]) -> tuple[datetime, int, int]:
    return one.item.source_time, one.observation, one.raw_id


def _row(
    scope: TenantScope, company_id: UUID, sourced: Sourced[Company], stamp: Stamp
) -> tuple[object, ...]:
    company = sourced.item
    told = {"name": company.name, "city": company.city}
    content = content_digest(scope, "company", [*told.values(), company.country])
    return (
        company_id,
        sourced.connection_id,
        company.source_id,
        company.country,
        seal_fields(scope, "companies", str(company_id), told),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=COMPANY_SCHEMA),
    )


def _tie(scope: TenantScope, belongs: Mapping[UUID, UUID | None]) -> None:
    """Set the customers' companies where they differ; count those left and those come to."""
    tied = stage(scope.connection, customers, ("customer_id", "company_id"), belongs.items())
    differs = customers.c.company_id.is_distinct_from(tied.c.company_id)
    of_these = (
        customers.c.tenant_id == scope.tenant,
        customers.c.customer_id == tied.c.customer_id,
    )
    moved = select(customers.c.company_id, tied.c.company_id).where(*of_these, differs)
    touched = {found for row in scope.connection.execute(moved) for found in row if found}
    scope.connection.execute(
        update(customers)
        .where(*of_these, differs)
        .values(company_id=tied.c.company_id, needs_projection=True)
    )
    _count(scope, touched)


def _count(scope: TenantScope, company_ids: Collection[UUID]) -> None:
    if not company_ids:
        return
    touched = stage(scope.connection, companies, ("company_id",), [(one,) for one in company_ids])
    counted = (
        select(touched.c.company_id, func.count(customers.c.customer_id).label("number"))
        .join_from(
            touched,
            customers,
            (customers.c.tenant_id == scope.tenant)
            & (customers.c.company_id == touched.c.company_id)
            & customers.c.merged_into.is_(None),
            isouter=True,
        )
        .group_by(touched.c.company_id)
        .subquery()
    )
    scope.connection.execute(
        update(companies)
        .where(
            companies.c.tenant_id == scope.tenant,
            companies.c.company_id == counted.c.company_id,
            companies.c.customers_count != counted.c.number,
        )
        .values(customers_count=counted.c.number, needs_projection=True)
    )
