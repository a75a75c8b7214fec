"""Measurements that anyone can run: `crm-integration bench`."""
