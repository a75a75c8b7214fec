"""The proof that nothing is missing: store = raw = canonical = ledger = CRM, object by object.

Prevents the loss that nobody notices because every part that could have told of it was the part
that failed: the store is listed anew, every table is asked for itself, wishes are made again from
canonical rows, and the CRM is read record by record (`docs/adr/0016`).
"""
