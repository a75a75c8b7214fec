-- Revision 0001: the tables and the walls around them, as they were released. Never edited:
-- a change is a new revision.

CREATE TABLE budgets (
    side TEXT NOT NULL,
    platform TEXT NOT NULL,
    account BYTEA NOT NULL,
    endpoint_class TEXT NOT NULL,
    starts DOUBLE PRECISION[] NOT NULL,
    calls BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_budgets PRIMARY KEY (side, platform, account, endpoint_class)
);
GRANT SELECT, INSERT, UPDATE ON budgets TO crm_ops;

CREATE TABLE tenants (
    tenant_id TEXT NOT NULL,
    started_on DATE NOT NULL,
    wrapped_keys BYTEA NOT NULL,
    key_version INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (tenant_id),
    CONSTRAINT ck_tenants_slug CHECK (tenant_id ~ '^[a-z0-9_-]{1,63}$')
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON tenants TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT ON tenants TO crm_app;
CREATE POLICY overview ON tenants FOR SELECT TO crm_ops USING (true);
GRANT SELECT (tenant_id, started_on, created_at) ON tenants TO crm_ops;

CREATE TABLE webhook_queue (
    lane SMALLINT NOT NULL,
    ready_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    drop_id UUID NOT NULL,
    tenant_id TEXT NOT NULL,
    tries SMALLINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_webhook_queue PRIMARY KEY (lane, ready_at, drop_id)
);
GRANT INSERT ON webhook_queue TO crm_intake;
GRANT SELECT, UPDATE, DELETE ON webhook_queue TO crm_ops;

CREATE TABLE addresses (
    tenant_id TEXT NOT NULL,
    customer_id UUID NOT NULL,
    kind TEXT NOT NULL,
    country TEXT,
    sealed BYTEA NOT NULL,
    CONSTRAINT pk_addresses PRIMARY KEY (tenant_id, customer_id, kind),
    CONSTRAINT fk_addresses_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON addresses TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON addresses TO crm_app;

CREATE TABLE attempts (
    tenant_id TEXT NOT NULL,
    attempt_id BIGINT GENERATED ALWAYS AS IDENTITY,
    uid UUID NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id UUID NOT NULL,
    claim_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    status SMALLINT NOT NULL,
    code TEXT,
    mapping_id TEXT NOT NULL,
    raw_id BIGINT NOT NULL,
    retry_policy SMALLINT NOT NULL,
    run_id TEXT NOT NULL,
    exchange BYTEA,
    CONSTRAINT pk_attempts PRIMARY KEY (tenant_id, attempt_id),
    CONSTRAINT fk_attempts_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_attempts_object ON attempts (tenant_id, connection_id, object_type, object_id);
ALTER TABLE attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON attempts TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT ON attempts TO crm_app;

CREATE TABLE audit_trail (
    tenant_id TEXT NOT NULL,
    entry_id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details JSONB NOT NULL,
    previous BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_audit_trail PRIMARY KEY (tenant_id, entry_id),
    CONSTRAINT fk_audit_trail_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE audit_trail ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_trail FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON audit_trail TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT ON audit_trail TO crm_app;

CREATE TABLE bindings (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id UUID NOT NULL,
    crm_record_id TEXT NOT NULL,
    adopted BOOLEAN NOT NULL,
    given_back BYTEA NOT NULL,
    bound_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_bindings PRIMARY KEY (tenant_id, connection_id, object_type, object_id),
    CONSTRAINT fk_bindings_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_bindings_object ON bindings (tenant_id, connection_id, object_id);
CREATE UNIQUE INDEX uq_bindings_record ON bindings (tenant_id, connection_id, object_type, crm_record_id);
ALTER TABLE bindings ENABLE ROW LEVEL SECURITY;
ALTER TABLE bindings FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON bindings TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON bindings TO crm_app;

CREATE TABLE connections (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    side TEXT NOT NULL,
    platform TEXT NOT NULL,
    base_url TEXT NOT NULL,
    account_id TEXT NOT NULL,
    currency TEXT,
    timezone TEXT,
    settings JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_connections PRIMARY KEY (tenant_id, connection_id),
    CONSTRAINT ck_connections_side CHECK (side in ('store', 'crm')),
    CONSTRAINT fk_connections_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE UNIQUE INDEX uq_connections_account ON connections (side, platform, account_id);
ALTER TABLE connections ENABLE ROW LEVEL SECURITY;
ALTER TABLE connections FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON connections TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON connections TO crm_app;

CREATE TABLE customer_identities (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    source_id TEXT NOT NULL,
    customer_id UUID NOT NULL,
    email_key BYTEA,
    holder_key BYTEA NOT NULL,
    rule TEXT NOT NULL,
    raw_id BIGINT,
    linked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_customer_identities PRIMARY KEY (tenant_id, connection_id, kind, source_id),
    CONSTRAINT fk_customer_identities_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_customer_identities_customer ON customer_identities (tenant_id, customer_id);
CREATE INDEX ix_customer_identities_email ON customer_identities (tenant_id, email_key);
ALTER TABLE customer_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON customer_identities TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON customer_identities TO crm_app;

CREATE TABLE customers (
    tenant_id TEXT NOT NULL,
    customer_id UUID NOT NULL,
    connection_id TEXT,
    kind TEXT NOT NULL,
    store_customer_id TEXT,
    registered_at TIMESTAMP WITH TIME ZONE,
    lifecycle_stage TEXT DEFAULT 'lead' NOT NULL,
    orders_count INTEGER DEFAULT 0 NOT NULL,
    first_order_at TIMESTAMP WITH TIME ZONE,
    last_order_at TIMESTAMP WITH TIME ZONE,
    merged_into UUID,
    known BOOLEAN DEFAULT true NOT NULL,
    sealed BYTEA,
    rank SMALLINT DEFAULT 0 NOT NULL,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    observation SMALLINT NOT NULL,
    raw_id BIGINT NOT NULL,
    content_digest BYTEA NOT NULL,
    schema_version SMALLINT NOT NULL,
    rules_version TEXT NOT NULL,
    flags TEXT[] DEFAULT '{}' NOT NULL,
    run_id TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    needs_projection BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_customers PRIMARY KEY (tenant_id, customer_id),
    CONSTRAINT fk_customers_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_customers_needs_projection ON customers (tenant_id) WHERE needs_projection;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON customers TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON customers TO crm_app;

CREATE TABLE holds (
    tenant_id TEXT NOT NULL,
    hold_id BIGINT GENERATED ALWAYS AS IDENTITY,
    object_type TEXT NOT NULL,
    check_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    fix TEXT NOT NULL,
    records INTEGER DEFAULT 0 NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    released_at TIMESTAMP WITH TIME ZONE,
    released_by TEXT,
    CONSTRAINT pk_holds PRIMARY KEY (tenant_id, hold_id),
    CONSTRAINT fk_holds_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE UNIQUE INDEX uq_holds_open ON holds (tenant_id, object_type, check_name) WHERE released_at IS NULL;
ALTER TABLE holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE holds FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON holds TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON holds TO crm_app;
CREATE POLICY overview ON holds FOR SELECT TO crm_ops USING (true);
GRANT SELECT (tenant_id, hold_id, object_type, check_name, reason, fix, records, opened_at, released_at, released_by) ON holds TO crm_ops;

CREATE TABLE identity_merges (
    tenant_id TEXT NOT NULL,
    merge_id BIGINT GENERATED ALWAYS AS IDENTITY,
    loser UUID NOT NULL,
    winner UUID NOT NULL,
    rule TEXT NOT NULL,
    evidence BYTEA NOT NULL,
    merged_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_identity_merges PRIMARY KEY (tenant_id, merge_id),
    CONSTRAINT fk_identity_merges_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE identity_merges ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_merges FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON identity_merges TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON identity_merges TO crm_app;

CREATE TABLE ledger (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    object_id UUID NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    desired BYTEA NOT NULL,
    desired_digest BYTEA NOT NULL,
    desired_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    raw_id BIGINT NOT NULL,
    mapping_id TEXT NOT NULL,
    mapping_digest TEXT NOT NULL,
    rules_version TEXT NOT NULL,
    run_id TEXT NOT NULL,
    needs UUID[] DEFAULT '{}' NOT NULL,
    sending BYTEA,
    sending_digest BYTEA,
    sending_mapping_id TEXT,
    sending_raw_id BIGINT,
    claim_id UUID,
    claim_expires_at TIMESTAMP WITH TIME ZONE,
    written_digest BYTEA,
    written_at TIMESTAMP WITH TIME ZONE,
    written_mapping_id TEXT,
    written_raw_id BIGINT,
    written_run_id TEXT,
    associated UUID[] DEFAULT '{}' NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    waiting_since TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_ledger PRIMARY KEY (tenant_id, connection_id, object_type, object_id),
    CONSTRAINT fk_ledger_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_ledger_due ON ledger (tenant_id, connection_id, object_type, next_try_at, object_id) WHERE state IN ('pending', 'retry', 'unknown', 'in_flight', 'parked');
CREATE INDEX ix_ledger_object ON ledger (tenant_id, connection_id, object_id);
ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON ledger TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger TO crm_app;

CREATE TABLE mapping_versions (
    tenant_id TEXT NOT NULL,
    mapping_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    first_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_mapping_versions PRIMARY KEY (tenant_id, mapping_id, digest),
    CONSTRAINT fk_mapping_versions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE mapping_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE mapping_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON mapping_versions TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON mapping_versions TO crm_app;

CREATE TABLE order_lines (
    tenant_id TEXT NOT NULL,
    order_id UUID NOT NULL,
    position INTEGER NOT NULL,
    product_source_id TEXT NOT NULL,
    variant_source_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    unit_price NUMERIC NOT NULL,
    total_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    CONSTRAINT pk_order_lines PRIMARY KEY (tenant_id, order_id, position),
    CONSTRAINT fk_order_lines_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE order_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_lines FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON order_lines TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON order_lines TO crm_app;

CREATE TABLE orders (
    tenant_id TEXT NOT NULL,
    order_id UUID NOT NULL,
    connection_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    number TEXT NOT NULL,
    customer_id UUID NOT NULL,
    customer_kind TEXT NOT NULL,
    customer_source_id TEXT NOT NULL,
    placed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    paid_at TIMESTAMP WITH TIME ZONE,
    cancelled_at TIMESTAMP WITH TIME ZONE,
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    shipping_minor BIGINT NOT NULL,
    discount_minor BIGINT NOT NULL,
    refunded_minor BIGINT DEFAULT 0 NOT NULL,
    refund_count INTEGER DEFAULT 0 NOT NULL,
    financial_state TEXT NOT NULL,
    fulfilment_state TEXT NOT NULL,
    store_status TEXT NOT NULL,
    line_count INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    sealed BYTEA,
    rank SMALLINT DEFAULT 0 NOT NULL,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    observation SMALLINT NOT NULL,
    raw_id BIGINT NOT NULL,
    content_digest BYTEA NOT NULL,
    schema_version SMALLINT NOT NULL,
    rules_version TEXT NOT NULL,
    flags TEXT[] DEFAULT '{}' NOT NULL,
    run_id TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    needs_projection BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_orders PRIMARY KEY (tenant_id, order_id),
    CONSTRAINT fk_orders_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_orders_customer ON orders (tenant_id, customer_id);
CREATE INDEX ix_orders_needs_projection ON orders (tenant_id) WHERE needs_projection;
CREATE INDEX ix_orders_source ON orders (tenant_id, connection_id, source_id);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON orders TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO crm_app;

CREATE TABLE products (
    tenant_id TEXT NOT NULL,
    product_id UUID NOT NULL,
    connection_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    title TEXT NOT NULL,
    sku TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT NOT NULL,
    currency TEXT NOT NULL,
    price_minor BIGINT,
    variants JSONB NOT NULL,
    rank SMALLINT DEFAULT 0 NOT NULL,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    observation SMALLINT NOT NULL,
    raw_id BIGINT NOT NULL,
    content_digest BYTEA NOT NULL,
    schema_version SMALLINT NOT NULL,
    rules_version TEXT NOT NULL,
    flags TEXT[] DEFAULT '{}' NOT NULL,
    run_id TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    needs_projection BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_products PRIMARY KEY (tenant_id, product_id),
    CONSTRAINT fk_products_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_products_needs_projection ON products (tenant_id) WHERE needs_projection;
ALTER TABLE products ENABLE ROW LEVEL SECURITY;
ALTER TABLE products FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON products TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON products TO crm_app;

CREATE TABLE quarantine (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    entity TEXT NOT NULL,
    source_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    rule TEXT NOT NULL,
    raw_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    fix TEXT NOT NULL,
    rules_version TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    released_at TIMESTAMP WITH TIME ZONE,
    run_id TEXT NOT NULL,
    CONSTRAINT pk_quarantine PRIMARY KEY (tenant_id, connection_id, entity, source_id, position, rule),
    CONSTRAINT fk_quarantine_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE quarantine ENABLE ROW LEVEL SECURITY;
ALTER TABLE quarantine FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON quarantine TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine TO crm_app;

CREATE TABLE refunds (
    tenant_id TEXT NOT NULL,
    refund_id UUID NOT NULL,
    connection_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    number TEXT NOT NULL,
    order_source_id TEXT,
    order_id UUID,
    customer_id UUID,
    customer_kind TEXT,
    customer_source_id TEXT,
    refunded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    sealed BYTEA,
    rank SMALLINT DEFAULT 0 NOT NULL,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    observation SMALLINT NOT NULL,
    raw_id BIGINT NOT NULL,
    content_digest BYTEA NOT NULL,
    schema_version SMALLINT NOT NULL,
    rules_version TEXT NOT NULL,
    flags TEXT[] DEFAULT '{}' NOT NULL,
    run_id TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    needs_projection BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_refunds PRIMARY KEY (tenant_id, refund_id),
    CONSTRAINT fk_refunds_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_refunds_needs_projection ON refunds (tenant_id) WHERE needs_projection;
CREATE INDEX ix_refunds_order ON refunds (tenant_id, order_id);
ALTER TABLE refunds ENABLE ROW LEVEL SECURITY;
ALTER TABLE refunds FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON refunds TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON refunds TO crm_app;

CREATE TABLE verdicts (
    tenant_id TEXT NOT NULL,
    verdict_id BIGINT GENERATED ALWAYS AS IDENTITY,
    entity TEXT NOT NULL,
    check_name TEXT NOT NULL,
    window_start DATE NOT NULL,
    window_end DATE NOT NULL,
    passed BOOLEAN NOT NULL,
    rows INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    highest_raw_id BIGINT NOT NULL,
    rules_version TEXT NOT NULL,
    details JSONB NOT NULL,
    run_id TEXT NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_verdicts PRIMARY KEY (tenant_id, verdict_id),
    CONSTRAINT fk_verdicts_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_verdicts_window ON verdicts (tenant_id, entity, window_start, verdict_id DESC);
ALTER TABLE verdicts ENABLE ROW LEVEL SECURITY;
ALTER TABLE verdicts FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON verdicts TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT ON verdicts TO crm_app;
CREATE POLICY overview ON verdicts FOR SELECT TO crm_ops USING (true);
GRANT SELECT (tenant_id, verdict_id, entity, check_name, window_start, window_end, passed, rows, failed, highest_raw_id, rules_version, details, run_id, decided_at) ON verdicts TO crm_ops;

CREATE TABLE credentials (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (tenant_id, connection_id),
    CONSTRAINT fk_credentials_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_credentials_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE credentials ENABLE ROW LEVEL SECURITY;
ALTER TABLE credentials FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON credentials TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON credentials TO crm_app;

CREATE TABLE cursors (
    tenant_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    listing TEXT NOT NULL,
    checkpoint TEXT,
    listed INTEGER,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_cursors PRIMARY KEY (tenant_id, connection_id, object_type, listing),
    CONSTRAINT fk_cursors_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_cursors_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE cursors ENABLE ROW LEVEL SECURITY;
ALTER TABLE cursors FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON cursors TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE, DELETE ON cursors TO crm_app;

CREATE TABLE raw_records (
    tenant_id TEXT NOT NULL,
    raw_id BIGINT GENERATED ALWAYS AS IDENTITY,
    uid UUID NOT NULL,
    connection_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    parent_id TEXT,
    source_time TIMESTAMP WITH TIME ZONE NOT NULL,
    observation SMALLINT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    day DATE NOT NULL,
    digest BYTEA NOT NULL,
    payload BYTEA NOT NULL,
    seen_again INTEGER DEFAULT 0 NOT NULL,
    outcome TEXT,
    flags TEXT[] DEFAULT '{}' NOT NULL,
    run_id TEXT NOT NULL,
    CONSTRAINT pk_raw_records PRIMARY KEY (tenant_id, raw_id),
    CONSTRAINT fk_raw_records_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_raw_records_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_raw_records_day ON raw_records (tenant_id, day, object_type);
CREATE INDEX ix_raw_records_object ON raw_records (tenant_id, connection_id, object_type, source_id, raw_id DESC);
CREATE INDEX ix_raw_records_underived ON raw_records (tenant_id, connection_id, object_type) WHERE outcome IS NULL;
ALTER TABLE raw_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE raw_records FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON raw_records TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT, INSERT, UPDATE (seen_again, outcome) ON raw_records TO crm_app;

CREATE TABLE webhook_drop (
    tenant_id TEXT NOT NULL,
    drop_id UUID NOT NULL,
    connection_id TEXT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    headers BYTEA NOT NULL,
    body BYTEA NOT NULL,
    CONSTRAINT pk_webhook_drop PRIMARY KEY (tenant_id, drop_id),
    CONSTRAINT fk_webhook_drop_tenant_id_connections FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, connection_id),
    CONSTRAINT fk_webhook_drop_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
ALTER TABLE webhook_drop ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_drop FORCE ROW LEVEL SECURITY;
CREATE POLICY walls ON webhook_drop TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));
GRANT SELECT ON webhook_drop TO crm_app;
CREATE POLICY arrival ON webhook_drop FOR INSERT TO crm_intake WITH CHECK (true);
GRANT INSERT ON webhook_drop TO crm_intake;

-- Every process compares the revision before it works.
GRANT SELECT ON alembic_version TO crm_app, crm_intake, crm_ops;
