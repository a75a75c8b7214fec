"""Sealed bytes and keyed digests: nothing personal lies open in a table, nothing can be guessed.

Prevents the leak by dump, backup or wrong join: a column is AES-256-GCM under the tenant's data
key, bound by its associated data to tenant, table, row and key version, so that a row moved to
another tenant does not open. Digests and match keys are HMAC-SHA256 under a second tenant key:
an e-mail cannot be guessed back by hashing candidates.
"""

from __future__ import annotations

import hmac
import os
import struct
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm_integration.errors import SealBroken

NONCE_BYTES = 12
"""96 bits, random: AES-GCM's own size. A tenant would need 2^32 seals for a 2^-32 collision
(NIST SP 800-38D, 8.3); rotation of the data key comes long before."""

_HEADER = struct.Struct(">BH")
_FORMAT = 1


@dataclass(frozen=True)
class TenantKeys:
    """A tenant's data key and digest key (32 bytes each), opened for one process."""

    tenant: str
    version: int
    data_key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self.data_key)

    def seal(self, table: str, row: str, plain: bytes) -> bytes:
        """Format byte, key version, nonce, ciphertext."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plain, self._bound_to(table, row))
        return _HEADER.pack(_FORMAT, self.version) + nonce + sealed

    def open(self, table: str, row: str, sealed: bytes) -> bytes:
        """Raises SealBroken when the bytes were not sealed for this tenant, table and row."""
        start = _HEADER.size
        nonce, body = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, self._bound_to(table, row))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(
                f"sealed bytes in {table} do not open for tenant {self.tenant}: the row was moved, "
                "changed, or sealed under another key; restore it from a backup"
            ) from error

    def digest(self, purpose: str, data: bytes) -> bytes:
        """32 bytes; `purpose` keeps an e-mail's match key apart from a payload's digest."""
        return hmac.digest(self.digest_key, purpose.encode() + b"\x00" + data, sha256)

    def _bound_to(self, table: str, row: str) -> bytes:
        return "\x1f".join((self.tenant, table, row, str(self.version))).encode()


@dataclass(frozen=True)
class MasterKey:
    """The key that wraps every tenant's keys; it never reaches the database.

    `before`: keys that it took the place of. What they wrapped opens until it is wrapped anew, and
    what they digested is known by them.
    """

    key: bytes = field(repr=False)
    before: tuple[bytes, ...] = field(default=(), repr=False)

    def each(self) -> tuple[MasterKey, ...]:
        """This one and those before it, each for itself."""
        return tuple(MasterKey(one) for one in (self.key, *self.before))

    def wrap(self, keys: TenantKeys) -> bytes:
        """Both tenant keys, bound to the tenant's name and the version."""
        nonce = os.urandom(NONCE_BYTES)
        plain = keys.data_key + keys.digest_key
        return nonce + AESGCM(self.key).encrypt(nonce, plain, _wrap_bound_to(keys))

    def digest(self, purpose: str, data: bytes) -> bytes:
        """32 bytes for what several tenants share (a metered account), not guessable either."""
        return hmac.digest(self.key, purpose.encode() + b"\x00" + data, sha256)

    def unwrap(self, tenant: str, version: int, wrapped: bytes) -> TenantKeys:
        """Raises SealBroken when they were wrapped with neither this key nor one before it."""
        for one in self.each():
            keys = one.unwrapped(tenant, version, wrapped)
            if keys is not None:
                return keys
        raise SealBroken(
            f"the master key does not open the keys of tenant {tenant}: set "
            "CRM_INTEGRATION_MASTER_KEY to the key this database was made with, or "
            "CRM_INTEGRATION_MASTER_KEY_PREVIOUS to the one before the last rotation"
        )

    def unwrapped(self, tenant: str, version: int, wrapped: bytes) -> TenantKeys | None:
        """What this key itself opens; None for what it did not wrap."""
        shell = TenantKeys(tenant, version, b"", b"")
        nonce, body = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            plain = AESGCM(self.key).decrypt(nonce, body, _wrap_bound_to(shell))
        except (InvalidTag, ValueError):
            return None
        return TenantKeys(tenant, version, plain[:32], plain[32:])


def new_tenant_keys(tenant: str) -> TenantKeys:
    """Fresh random keys, version 1."""
    return TenantKeys(tenant, 1, os.urandom(32), os.urandom(32))


def _wrap_bound_to(keys: TenantKeys) -> bytes:
    return f"tenant keys\x1f{keys.tenant}\x1f{keys.version}".encode()
