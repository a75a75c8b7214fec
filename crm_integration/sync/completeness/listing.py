"""What the store has: a fresh listing of its own, of which nothing is kept but ids and digests.

Prevents the proof that believes our own tables: a store that forgot its webhooks, or disabled
their hook, is asked itself, in pages, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crm_integration.intake.limits import admitted
from crm_integration.intake.open_store import OpenStore, refuse_another
from crm_integration.storage.sealing import TenantKeys
from crm_integration.stores._contract import Gone, SourceObject
from crm_integration.sync.completeness.frames import frame
from crm_integration.sync.completeness.model import Frame
from crm_integration.sync.completeness.scan import Scan

LISTED = ("id", "said_at", "store_digest", "store_shape", "listed", "store_gone", "same_words")
"""`said_at`: the source time as the store states it. `same_words`: a read by id showed that other
bytes say the same."""

FETCH_BATCH = 100


def list_store(scan: Scan, store: OpenStore, object_type: str) -> tuple[Frame, int]:
    """All objects of a type in the window (of a swept type: all there are), each once, and how
    many elements nobody could read. Raises what the connector's listing raises."""
    swept = object_type in store.connector.manifest.swept
    window = None if swept else scan.request.days
    keys = keys_of(scan)
    rows: list[tuple[Any, ...]] = []
    unreadable = 0
    for page in store.connector.extract.pages(store.client, object_type, window, None):
        rows += [_row(one, keys, store.connector.manifest.shape) for one in page.objects]
        unreadable += len(page.unreadable)
    made = frame(rows, LISTED, times=("said_at",))
    return made.drop_duplicates("id", keep="last"), unreadable


def read_direct(
    store: OpenStore, object_type: str, source_ids: Sequence[str]
) -> Iterator[SourceObject | Gone]:
    """Read objects by id. "Gone" is believed only if the connection's check is green then."""
    gone: list[Gone] = []
    for start in range(0, len(source_ids), FETCH_BATCH):
        batch = list(source_ids[start : start + FETCH_BATCH])
        for answer in store.connector.extract.fetch(store.client, object_type, batch):
            if isinstance(answer, Gone):
                gone.append(answer)
            else:
                yield answer
    if gone:
        refuse_another(store)
    yield from gone


def answered(
    scan: Scan, store: OpenStore, answers: Sequence[SourceObject | Gone], same: frozenset[str]
) -> Frame:
    """Direct reads as rows of a listing; `same` are those that say what our raw records say."""
    keys, shape = keys_of(scan), store.connector.manifest.shape
    rows = [
        (one.source_id, None, b"", "", False, True, False)
        if isinstance(one, Gone)
        else (*_row(one, keys, shape)[:-1], one.source_id in same)
        for one in answers
    ]
    return frame(rows, LISTED, times=("said_at",))


def keys_of(scan: Scan) -> TenantKeys:
    """The tenant's keys: digests are made as raw records make them."""
    with scan.tenancy.scope(scan.tenant) as scope:
        return scope.keys


def _row(source: SourceObject, keys: TenantKeys, shape: str) -> tuple[Any, ...]:
    """As its raw record is named, whatever its id looks like."""
    named, _ = admitted(source, keys)
    digest = keys.digest("raw", source.payload)
    return (named.source_id, source.source_time, digest, source.shape or shape, True, False, False)
