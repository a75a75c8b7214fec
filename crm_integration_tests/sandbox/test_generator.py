"""The generated order book goes the way of a real one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from crm_integration.sandbox.generator import generated_table
from crm_integration.sandbox.invoices import read_invoices


def test_the_generated_book_holds_every_kind_of_invoice_within_its_days() -> None:
    """A demo without guests, credits and bad lines would show nothing worth seeing."""
    read = read_invoices(generated_table(7))
    kinds = Counter(one.kind for one in read)
    days = {datetime.fromtimestamp(one.at, UTC).date().isoformat() for one in read}
    assert len(read) == 303
    assert kinds["order"] > 200 and kinds["refund"] > 15 and kinds["unreadable"] >= 5
    assert sum(one.number.startswith("A") for one in read) == 3
    assert any(one.kind == "order" and not one.customer_id for one in read)
    assert (min(days), max(days), len(days)) == ("2026-10-18", "2026-10-31", 14)


def test_one_seed_gives_one_book() -> None:
    """A failure seen in a demo must be seen again tomorrow."""
    assert generated_table(3).equals(generated_table(3))
    assert not generated_table(3).equals(generated_table(4))
