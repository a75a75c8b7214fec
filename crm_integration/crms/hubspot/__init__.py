"""HubSpot: companies, contacts, products, orders, carts and notes through the v3 objects API.

Prevents 207, 409-for-all and lost answers from reaching the ledger as anything but one outcome
per record.
"""
