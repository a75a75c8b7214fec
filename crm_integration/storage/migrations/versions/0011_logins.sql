-- Revision 0011. Never edited: a change is a new revision.

-- How a connection's login stands, and when its access token is to be renewed; times by this
-- database's clock, whatever a vendor's clock says.
ALTER TABLE credentials
    ADD COLUMN state TEXT NOT NULL DEFAULT 'active',
    ADD COLUMN reason TEXT,
    ADD COLUMN state_since TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN renew_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN failures INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN next_try_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT ck_credentials_state CHECK (state in (
        'active', 'refreshing', 'expiring', 'needs_reconnect', 'revoked', 'missing_scope'));

-- Each change of state: what a merchant was told when, and what alerts are made of.
CREATE TABLE credential_changes (
    tenant_id TEXT NOT NULL,
    change_id BIGINT GENERATED ALWAYS AS IDENTITY,
    connection_id TEXT NOT NULL,
    before TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_credential_changes PRIMARY KEY (tenant_id, change_id),
    CONSTRAINT fk_credential_changes_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_credential_changes_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE INDEX ix_credential_changes_connection ON credential_changes (tenant_id, connection_id, change_id DESC);

ALTER TABLE credential_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE credential_changes FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON credential_changes TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT ON credential_changes TO crm_app;

CREATE POLICY overview ON credential_changes FOR SELECT TO crm_ops USING (true);

GRANT SELECT (tenant_id, change_id, connection_id, before, state, reason, changed_at) ON credential_changes TO crm_ops;
