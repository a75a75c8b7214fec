"""What a preview may show of a field without being asked twice.

Prevents the plan that is pasted into a ticket with forty customers in it: text that may be about
a person is shown by its length only.
"""

from __future__ import annotations

from crm_integration.mapping.model import CompiledMapping, FieldRule, FieldValue
from crm_integration.mapping.paths import canonical_paths
from crm_integration.mapping.preview import Mask

_IMPERSONAL = frozenset(
    {
        *("source_id", "store_customer_id", "store", "number", "order_number", "sku", "status"),
        *("store_status", "lifecycle_reason", "email_consent_basis", "sms_consent_basis"),
    }
)
"""Paths of text that are never about a person: numbers, states and our own sentences."""


def masked(mapping: CompiledMapping) -> Mask:
    """Lengths in place of text that may be personal; numbers, times and states as they are."""
    personal = {
        name for name, rule in mapping.fields.items() if _may_be_personal(rule, mapping.entity)
    }

    def mask(name: str, value: FieldValue) -> FieldValue:
        if value in (None, "") or name not in personal:
            return value
        return f"<{len(str(value))} characters>"

    return mask


def shown(mapping: CompiledMapping) -> Mask:
    """Everything as it is, for the eyes of somebody who asked."""
    return lambda name, value: value


def _may_be_personal(rule: FieldRule, entity: str) -> bool:
    known = canonical_paths(entity)
    return any(known[path].kind == "text" and path not in _IMPERSONAL for path in rule.paths)
