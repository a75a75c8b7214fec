"""The customer-data path from merchants' web stores to their CRMs."""
