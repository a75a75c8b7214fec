"""The watchdog of webhooks: what a store should tell us of against what it is subscribed to.

Prevents the silence that nobody hears: WooCommerce switches a webhook off for ever after seven
failed deliveries, Shopify removes it, a plugin's update loses it. What is missing is subscribed
again, and the gap that it left is recorded and fetched. Webhook subscriptions are the only thing
that is ever written to a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, or_, select

from crm_integration.audit import trail
from crm_integration.errors import BadSetting, CrmIntegrationError
from crm_integration.intake.heard_topics import Known, known_topics, note_looks
from crm_integration.intake.open_store import OpenStore
from crm_integration.intake.silence import SILENT_AFTER, has_unread, polled_instead
from crm_integration.intake.webhook_gaps import mend_gaps, open_gap
from crm_integration.intake.webhook_paths import PREFIX, make_path, newest_secret, path_digest
from crm_integration.storage.tables.intake import webhook_paths
from crm_integration.stores._contract import Subscription
from crm_integration.stores._registry import Topic
from crm_integration.tenancy.scope import Tenancy, TenantScope

ACTIVE, DISABLED, MISSING, SILENT = "active", "disabled", "missing", "silent"

ACTOR = "watchdog"


@dataclass(frozen=True)
class Look:
    """One topic as it was found. `found` is the store's own entry, None where it has none;
    `last_good`: up to here all was told (None: it was never subscribed to, and missed nothing);
    `mended`: it was put right; `problem`: why it was not, with the fix."""

    topic: str
    object_type: str
    state: str
    known: Known | None
    found: Subscription | None = None
    last_good: datetime | None = None
    silent_since: datetime | None = None
    mended: bool = False
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """It tells, or does again."""
        return self.state == ACTIVE or self.mended


def is_watched(scope: TenantScope, connection_id: str) -> bool:
    """Whether this connection was given an address for deliveries; others are polled alone."""
    return bool(_valid_paths(scope, connection_id))


def look(tenancy: Tenancy, ops: Engine, store: OpenStore) -> list[Look]:
    """Every topic of the manifest, as the store has it. Nothing is changed.

    Raises what the store's client raises.
    """
    connection_id = store.connection.connection_id
    actual = store.connector.webhook.subscriptions(store.client)
    unread = has_unread(ops, store.tenant)
    with tenancy.scope(store.tenant) as scope:
        valid = _valid_paths(scope, connection_id)
        known = known_topics(scope, connection_id)
        now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
        paths = {one.subscription_id: _digest(tenancy, one.address) for one in actual}
        ours = [one for one in actual if paths[one.subscription_id] in valid]
        looks: list[Look] = []
        for name, topic in store.connector.manifest.topics.items():
            one = _found(name, topic, ours, known.get(name))
            if one.found is not None and one.last_good is None:
                # Nobody has looked so far; it was made with its address, or later.
                path = paths[one.found.subscription_id]
                one = replace(one, last_good=valid[path] if path is not None else None)
            if one.state == ACTIVE and not unread:
                one = _heard(scope, connection_id, topic, one, now)
            looks.append(one)
        return looks


def _found(name: str, topic: Topic, ours: Sequence[Subscription], known: Known | None) -> Look:
    good = None if known is None else known.last_good
    mine = sorted((one for one in ours if one.topic == name), key=lambda one: not one.active)
    if not mine:
        return Look(name, topic.object_type, MISSING, known, last_good=good)
    state = ACTIVE if mine[0].active else DISABLED
    return Look(name, topic.object_type, state, known, mine[0], good)


def _heard(scope: TenantScope, connection_id: str, topic: Topic, one: Look, now: datetime) -> Look:
    """A topic is judged from when it is known to be good; the first look only takes that down."""
    since = None if one.known is None or one.known.good_since is None else one.known.last_good
    if since is None:
        return one
    if polled_instead(scope, connection_id, topic, since, now) < SILENT_AFTER:
        return one
    return replace(one, state=SILENT, silent_since=since)


def mend(
    tenancy: Tenancy, store: OpenStore, looks: Sequence[Look], *, receiver_url: str | None
) -> list[Look]:
    """Put right what was found, and record the gaps. What cannot be put right says why.

    A healthy store gets no call.
    """
    connection_id = store.connection.connection_id
    broken = [one for one in looks if one.state != ACTIVE]
    with tenancy.scope(store.tenant) as scope:
        for one in broken:
            if one.last_good is not None:
                place = (scope, connection_id, one.topic, one.object_type)
                open_gap(*place, one.last_good, one.state)
        secret = newest_secret(scope, connection_id)
    mending = _Mending(tenancy, store, secret, _address_of(looks), receiver_url)
    after = [one if one.state == ACTIVE else mending.put_right(one) for one in looks]
    with tenancy.scope(store.tenant) as scope:
        _note(scope, connection_id, after)
    return after


@dataclass
class _Mending:
    """Repairs of one store; an address is made at most once."""

    tenancy: Tenancy
    store: OpenStore
    secret: str | None
    address: str | None
    receiver_url: str | None

    def put_right(self, one: Look) -> Look:
        """The same topic, mended or with a problem."""
        try:
            self._put_right(one)
        except CrmIntegrationError as error:
            return replace(one, problem=str(error))
        return replace(one, mended=True)

    def _put_right(self, one: Look) -> None:
        webhook, client = self.store.connector.webhook, self.store.client
        if one.found is not None and one.state == DISABLED:
            webhook.revive(client, one.found, self.secret)
            return
        address = self._whereto()
        if one.found is not None:
            webhook.unsubscribe(client, one.found)
        webhook.subscribe(client, one.topic, address, self.secret)

    def _whereto(self) -> str:
        """Where the store delivers its other topics; a new path if it delivers none."""
        if self.address is None:
            if self.receiver_url is None:
                raise BadSetting(
                    "CRM_INTEGRATION_RECEIVER_URL: not set, so there is no address to subscribe. "
                    "Give the https address that stores reach, such as https://hooks.example.com"
                )
            with self.tenancy.scope(self.store.tenant) as scope:
                place = (self.tenancy.master, self.store.connection.connection_id)
                path = make_path(scope, *place, actor=ACTOR)
            self.address = self.receiver_url.rstrip("/") + path
        return self.address


def _address_of(looks: Sequence[Look]) -> str | None:
    """Of a subscription that works, or else of any of ours."""
    found = [one for one in looks if one.found is not None]
    best = sorted(found, key=lambda one: one.state != ACTIVE)
    return best[0].found.address if best and best[0].found is not None else None


def _note(scope: TenantScope, connection_id: str, looks: Sequence[Look]) -> None:
    """Keep what was found, end the gaps of what tells again, leave an audit entry of repairs."""
    now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
    note_looks(scope, connection_id, [_row(one, now) for one in looks])
    mend_gaps(scope, connection_id, [one.topic for one in looks if one.is_good])
    for one in looks:
        if one.mended:
            trail.record(
                scope,
                actor=ACTOR,
                action="webhook.subscribe",
                subject=connection_id,
                topic=one.topic,
                found=one.state,
            )


def _row(one: Look, now: datetime) -> dict[str, object]:
    good = None if one.known is None else one.known.good_since
    if one.mended or (one.is_good and good is None):
        good = now
    return {
        "topic": one.topic,
        "state": ACTIVE if one.is_good else one.state,
        "good_since": good,
        "silent_since": None if one.is_good else one.silent_since,
        "problem": one.problem,
    }


def _valid_paths(scope: TenantScope, connection_id: str) -> dict[bytes, datetime]:
    """Keyed hash of each path that is taken -> when it was made."""
    rows = scope.connection.execute(
        select(webhook_paths.c.digest, webhook_paths.c.made_at).where(
            webhook_paths.c.tenant_id == scope.tenant,
            webhook_paths.c.connection_id == connection_id,
            or_(
                webhook_paths.c.valid_until.is_(None),
                webhook_paths.c.valid_until > func.clock_timestamp(),
            ),
        )
    )
    return {bytes(row.digest): row.made_at for row in rows}


def _digest(tenancy: Tenancy, address: str) -> bytes | None:
    """The keyed hash of an address's path; None for one that is not ours."""
    _, _, token = urlsplit(address).path.rpartition(PREFIX)
    return path_digest(tenancy.master, token) if token else None
