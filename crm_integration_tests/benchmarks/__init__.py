"""Measurements that anyone can run (`crm-integration bench`), with everything on one machine."""
