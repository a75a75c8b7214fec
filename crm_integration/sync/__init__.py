"""The engine: raw records to canonical rows to the ledger to the CRM, by one code path."""
