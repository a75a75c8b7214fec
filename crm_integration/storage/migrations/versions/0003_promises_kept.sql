CREATE TABLE approvals (
    tenant_id TEXT NOT NULL, 
    approval_id TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    digest BYTEA NOT NULL, 
    by TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    used_at TIMESTAMP WITH TIME ZONE, 
    used_by TEXT, 
    CONSTRAINT pk_approvals PRIMARY KEY (tenant_id, approval_id), 
    CONSTRAINT fk_approvals_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE crm_reads (
    tenant_id TEXT NOT NULL, 
    connection_id TEXT NOT NULL, 
    object_type TEXT NOT NULL, 
    asked BYTEA NOT NULL, 
    behind UUID, 
    since TIMESTAMP WITH TIME ZONE NOT NULL, 
    read_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    CONSTRAINT pk_crm_reads PRIMARY KEY (tenant_id, connection_id, object_type), 
    CONSTRAINT fk_crm_reads_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE crm_values (
    tenant_id TEXT NOT NULL, 
    connection_id TEXT NOT NULL, 
    object_type TEXT NOT NULL, 
    object_id UUID NOT NULL, 
    field TEXT NOT NULL, 
    value BYTEA NOT NULL, 
    digest BYTEA NOT NULL, 
    crm_record_id TEXT NOT NULL, 
    crm_changed_at TIMESTAMP WITH TIME ZONE, 
    mapping_id TEXT NOT NULL, 
    run_id TEXT NOT NULL, 
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    CONSTRAINT pk_crm_values PRIMARY KEY (tenant_id, connection_id, object_type, object_id, field), 
    CONSTRAINT fk_crm_values_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE held_changes (
    tenant_id TEXT NOT NULL, 
    connection_id TEXT NOT NULL, 
    object_type TEXT NOT NULL, 
    object_id UUID NOT NULL, 
    digest BYTEA NOT NULL, 
    changes BYTEA NOT NULL, 
    mapping_id TEXT NOT NULL, 
    held_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    approved_by TEXT, 
    approved_until TIMESTAMP WITH TIME ZONE, 
    CONSTRAINT pk_held_changes PRIMARY KEY (tenant_id, connection_id, object_type, object_id), 
    CONSTRAINT fk_held_changes_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE rewritten (
    tenant_id TEXT NOT NULL, 
    connection_id TEXT NOT NULL, 
    object_type TEXT NOT NULL, 
    mapping_id TEXT NOT NULL, 
    object_id UUID NOT NULL, 
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    CONSTRAINT pk_rewritten PRIMARY KEY (tenant_id, connection_id, object_type, mapping_id, object_id), 
    CONSTRAINT fk_rewritten_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

ALTER TABLE carts ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE carts ADD COLUMN deleted_raw_id BIGINT;

ALTER TABLE customer_identities ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE customer_identities ADD COLUMN deleted_raw_id BIGINT;

CREATE INDEX ix_customers_merged_into ON customers (tenant_id, merged_into) WHERE merged_into IS NOT NULL;

ALTER TABLE ledger ADD COLUMN unclear BYTEA[] DEFAULT '{}' NOT NULL;

ALTER TABLE ledger ADD COLUMN edited_from BYTEA;

ALTER TABLE ledger ADD COLUMN edited_from_digest BYTEA;

CREATE INDEX ix_ledger_held ON ledger (tenant_id, connection_id, object_type) WHERE state = 'held';

CREATE INDEX ix_ledger_skipped ON ledger (tenant_id, connection_id, object_type) WHERE state = 'skipped';

ALTER TABLE orders ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE orders ADD COLUMN deleted_raw_id BIGINT;

ALTER TABLE products ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE products ADD COLUMN deleted_raw_id BIGINT;

ALTER TABLE raw_records ADD COLUMN seen_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX ix_raw_records_gone ON raw_records (tenant_id, connection_id, object_type, source_id) WHERE 'gone' = ANY (flags);

ALTER TABLE refunds ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE refunds ADD COLUMN deleted_raw_id BIGINT;

ALTER TABLE shipments ADD COLUMN deleted_at TIMESTAMP WITH TIME ZONE;

ALTER TABLE shipments ADD COLUMN deleted_raw_id BIGINT;

ALTER TABLE approvals ENABLE ROW LEVEL SECURITY;

ALTER TABLE approvals FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON approvals TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE (used_at, used_by) ON approvals TO crm_app;

ALTER TABLE crm_reads ENABLE ROW LEVEL SECURITY;

ALTER TABLE crm_reads FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON crm_reads TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON crm_reads TO crm_app;

ALTER TABLE crm_values ENABLE ROW LEVEL SECURITY;

ALTER TABLE crm_values FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON crm_values TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON crm_values TO crm_app;

ALTER TABLE held_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE held_changes FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON held_changes TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON held_changes TO crm_app;

ALTER TABLE rewritten ENABLE ROW LEVEL SECURITY;

ALTER TABLE rewritten FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON rewritten TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT, UPDATE, DELETE ON rewritten TO crm_app;

GRANT UPDATE (seen_at) ON raw_records TO crm_app;
