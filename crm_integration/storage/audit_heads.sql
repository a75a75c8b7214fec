-- Where each tenant's audit trail ends, out of reach of whoever owns the trail.
--
-- The embedded server runs this by itself. On a server of your own a superuser runs it in the
-- database of crm_integration, before the first start and after each update; it may be run again.
--
-- crm_owner owns every other table: it can switch row level security off, cut the trail's end and
-- write it anew, and a chain of digests alone would not tell. This table belongs to a role that
-- nobody logs in as, and is moved by a function only, one entry at a time, in the transaction that
-- writes the entry.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'crm_audit') THEN
        CREATE ROLE crm_audit NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION
            NOINHERIT;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS audit_heads AUTHORIZATION crm_audit;

SET ROLE crm_audit;

CREATE TABLE IF NOT EXISTS audit_heads.heads (
    tenant_id TEXT PRIMARY KEY,
    entries BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    torn_at BIGINT,
    moved_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp()
);

-- The next entry of the tenant in scope; false where its trail has no head yet. An entry that does
-- not follow the one before tears the head for good: the trail's end had been taken off.
CREATE OR REPLACE FUNCTION audit_heads.advance(previous BYTEA, next BYTEA) RETURNS BOOLEAN
    LANGUAGE sql SECURITY DEFINER SET search_path = audit_heads, pg_temp AS $$
    WITH moved AS (
        UPDATE heads SET
            entries = entries + 1,
            digest = next,
            torn_at = coalesce(torn_at, CASE WHEN digest <> previous THEN entries END),
            moved_at = clock_timestamp()
        WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM moved)
$$;

-- The first head of a trail that has so many entries already.
CREATE OR REPLACE FUNCTION audit_heads.begin(counted BIGINT, last BYTEA) RETURNS VOID
    LANGUAGE sql SECURITY DEFINER SET search_path = audit_heads, pg_temp AS $$
    INSERT INTO heads (tenant_id, entries, digest)
    SELECT nullif(current_setting('app.tenant_id', true), ''), counted, last
    ON CONFLICT (tenant_id) DO NOTHING
$$;

CREATE OR REPLACE FUNCTION audit_heads.head()
    RETURNS TABLE (entries BIGINT, digest BYTEA, torn_at BIGINT)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = audit_heads, pg_temp AS $$
    SELECT h.entries, h.digest, h.torn_at FROM heads h
    WHERE h.tenant_id = nullif(current_setting('app.tenant_id', true), '')
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit_heads FROM PUBLIC;

GRANT USAGE ON SCHEMA audit_heads TO crm_app;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA audit_heads TO crm_app;

RESET ROLE;
