"""Tryton: parties, opportunities and notes through its REST user application.

Prevents a refusal that is told in the wrong status, and a batch that fails for one record, from
reaching the ledger as anything but one outcome per record.
"""
