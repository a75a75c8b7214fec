"""Every error of this project, named by what its receiver does next.

Prevents the failure where a caller has to read a vendor's message to learn whether to wait,
to give up or to call a person.

    CrmIntegrationError
    ├── BadInput                a person must correct something (names file, line, field, fix)
    │   ├── BadSetting          an environment variable or a settings file
    │   ├── BadMapping          a mapping or tenant file (carries path and line)
    │   └── BadInvoiceFile      an order book that cannot be read
    ├── NotFound                no such object within this tenant (another tenant's id, too)
    ├── StorageError
    │   ├── NewerSchema         the database was migrated by a newer release: not touched
    │   ├── UnsafeRole          a database role could look over the walls: start refused
    │   └── SealBroken          sealed bytes do not open for this tenant, table and row
    └── RemoteError             an outside system answered (or did not)
        ├── Transient           try again, not before `retry_after` seconds
        ├── Permanent           the same request will fail again
        ├── NeedsReconnect      the account refuses our credentials
        ├── MissingScope        the account lacks a permission (`scope`)
        ├── DataRejected        one record is wrong (`field`); never retried
        ├── Conflict            the record exists already (`existing_id`)
        └── NotYet              depends on something not written so far (`dependency`)
"""

from __future__ import annotations


class CrmIntegrationError(Exception):
    """Root of all errors raised on purpose here."""


class BadInput(CrmIntegrationError):
    """Something a person gave us is wrong; the message names the place and the fix."""


class BadSetting(BadInput):
    """A setting is missing or wrong."""


class BadMapping(BadInput):
    """A mapping or tenant file is refused; `path`, `line` (1-based) and `fix` say where and how."""

    def __init__(self, problem: str, *, path: str, line: int, fix: str) -> None:
        super().__init__(f"{path}:{line}: {problem}. {fix}")
        self.problem, self.path, self.line, self.fix = problem, path, line, fix


class BadInvoiceFile(BadInput):
    """An order book cannot be read; the message names the file, the column and the fix."""


class NotFound(CrmIntegrationError):
    """There is no such object within this tenant's walls."""


class StorageError(CrmIntegrationError):
    """The database is not in a state we may work on."""


class NewerSchema(StorageError):
    """The database carries a revision this release does not know; it has not been touched."""


class UnsafeRole(StorageError):
    """A role could read over tenant walls (superuser, BYPASSRLS, table owner); start refused."""


class SealBroken(StorageError):
    """Sealed bytes do not open: wrong tenant, table, row or key, or the bytes were changed."""


class RemoteError(CrmIntegrationError):
    """An outside system's answer, translated into what to do next.

    `status` is the HTTP status (0 when there was none) and `code` the vendor's own word for it;
    neither carries personal data.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Transient(RemoteError):
    """Try the same request again, not before `retry_after` seconds (None: our own backoff)."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, status: int = 0, code: str = ""
    ) -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class Permanent(RemoteError):
    """The same request will fail again; a person or a newer version is needed."""


class NeedsReconnect(RemoteError):
    """The credentials are refused; this connection rests until the merchant reconnects it."""


class MissingScope(RemoteError):
    """The credentials lack the permission `scope`; the merchant must grant it."""

    def __init__(self, message: str, *, scope: str, status: int = 0, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.scope = scope


class DataRejected(RemoteError):
    """One record (its `field`) was refused; sending it again unchanged is useless."""

    def __init__(self, message: str, *, field: str, status: int = 0, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.field = field


class Conflict(RemoteError):
    """The record exists already under `existing_id`: bind to it instead of creating a second."""

    def __init__(self, message: str, *, existing_id: str, status: int = 0, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.existing_id = existing_id


class NotYet(RemoteError):
    """`dependency` has not been written so far; park and come back."""

    def __init__(self, message: str, *, dependency: str, status: int = 0, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.dependency = dependency
