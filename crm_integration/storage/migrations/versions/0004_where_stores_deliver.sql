CREATE TABLE webhook_paths (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    valid_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_webhook_paths PRIMARY KEY (tenant_id, connection_id, digest),
    CONSTRAINT fk_webhook_paths_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_webhook_paths_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE UNIQUE INDEX uq_webhook_paths_digest ON webhook_paths (digest);

CREATE TABLE webhook_secrets (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    secret_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    valid_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_webhook_secrets PRIMARY KEY (tenant_id, connection_id, secret_id),
    CONSTRAINT fk_webhook_secrets_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_webhook_secrets_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

ALTER TABLE webhook_paths ENABLE ROW LEVEL SECURITY;

ALTER TABLE webhook_paths FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON webhook_paths TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE (valid_until) ON webhook_paths TO crm_app;

CREATE POLICY address ON webhook_paths FOR SELECT TO crm_owner USING (digest = (select decode(nullif(current_setting('app.webhook_path', true), ''), 'hex')));

ALTER TABLE webhook_secrets ENABLE ROW LEVEL SECURITY;

ALTER TABLE webhook_secrets FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON webhook_secrets TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE (valid_until) ON webhook_secrets TO crm_app;

CREATE POLICY address ON webhook_secrets FOR SELECT TO crm_owner USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

CREATE POLICY address ON connections FOR SELECT TO crm_owner USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

CREATE POLICY address ON tenants FOR SELECT TO crm_owner USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

-- All that crm_intake may ask: what belongs to one path whose keyed hash it knows. The settings
-- decide what the owner's policies show, for this transaction, and are emptied again.
CREATE FUNCTION webhook_address(path_digest BYTEA) RETURNS TABLE (
    tenant_id TEXT,
    connection_id TEXT,
    platform TEXT,
    key_version INTEGER,
    wrapped_keys BYTEA,
    path_seconds_left DOUBLE PRECISION,
    secret_id UUID,
    sealed BYTEA,
    secret_seconds_left DOUBLE PRECISION
) LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    found RECORD;
BEGIN
    PERFORM set_config('app.webhook_path', encode(path_digest, 'hex'), true);
    SELECT * INTO found FROM public.webhook_paths p
        WHERE p.digest = path_digest
        AND (p.valid_until IS NULL OR p.valid_until > clock_timestamp());
    PERFORM set_config('app.webhook_path', '', true);
    IF found.tenant_id IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('app.tenant_id', found.tenant_id, true);
    RETURN QUERY
        SELECT c.tenant_id, c.connection_id, c.platform, t.key_version, t.wrapped_keys,
            extract(epoch FROM found.valid_until - clock_timestamp())::DOUBLE PRECISION,
            s.secret_id, s.sealed,
            extract(epoch FROM s.valid_until - clock_timestamp())::DOUBLE PRECISION
        FROM public.connections c
        JOIN public.tenants t ON t.tenant_id = c.tenant_id
        LEFT JOIN public.webhook_secrets s ON s.tenant_id = c.tenant_id
            AND s.connection_id = c.connection_id
            AND (s.valid_until IS NULL OR s.valid_until > clock_timestamp())
        WHERE c.tenant_id = found.tenant_id AND c.connection_id = found.connection_id
        ORDER BY s.made_at DESC;
    PERFORM set_config('app.tenant_id', '', true);
END
$$;

REVOKE ALL ON FUNCTION webhook_address(BYTEA) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION webhook_address(BYTEA) TO crm_intake;
