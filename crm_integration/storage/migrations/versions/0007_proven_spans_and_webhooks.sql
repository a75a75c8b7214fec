ALTER TABLE cursors ADD COLUMN begun_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;

CREATE TABLE proven_spans (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    proven_until TIMESTAMP WITH TIME ZONE NOT NULL,
    candidate_until TIMESTAMP WITH TIME ZONE,
    listed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_proven_spans PRIMARY KEY (tenant_id, connection_id, object_type),
    CONSTRAINT fk_proven_spans_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_proven_spans_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE webhook_subscriptions (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    state TEXT DEFAULT 'unknown' NOT NULL,
    heard_at TIMESTAMP WITH TIME ZONE,
    good_since TIMESTAMP WITH TIME ZONE,
    silent_since TIMESTAMP WITH TIME ZONE,
    checked_at TIMESTAMP WITH TIME ZONE,
    problem TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_webhook_subscriptions PRIMARY KEY (tenant_id, connection_id, topic),
    CONSTRAINT fk_webhook_subscriptions_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_webhook_subscriptions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE webhook_gaps (
    tenant_id TEXT NOT NULL,
    gap_id UUID NOT NULL,
    connection_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    object_type TEXT NOT NULL,
    cause TEXT NOT NULL,
    gap_from TIMESTAMP WITH TIME ZONE NOT NULL,
    gap_until TIMESTAMP WITH TIME ZONE,
    found_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE,
    kept INTEGER,
    CONSTRAINT pk_webhook_gaps PRIMARY KEY (tenant_id, gap_id),
    CONSTRAINT fk_webhook_gaps_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_webhook_gaps_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE UNIQUE INDEX uq_webhook_gaps_open ON webhook_gaps (tenant_id, connection_id, topic) WHERE fetched_at IS NULL;

ALTER TABLE proven_spans ENABLE ROW LEVEL SECURITY;

ALTER TABLE proven_spans FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON proven_spans TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON proven_spans TO crm_app;

ALTER TABLE webhook_subscriptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE webhook_subscriptions FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON webhook_subscriptions TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_subscriptions TO crm_app;

ALTER TABLE webhook_gaps ENABLE ROW LEVEL SECURITY;

ALTER TABLE webhook_gaps FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON webhook_gaps TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_gaps TO crm_app;
