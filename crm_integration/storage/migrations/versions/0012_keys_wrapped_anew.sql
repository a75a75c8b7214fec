-- Revision 0012. Never edited: a change is a new revision.

-- Rotation of the master key wraps each tenant's keys anew, within that tenant's walls.
GRANT UPDATE (wrapped_keys) ON tenants TO crm_app;
