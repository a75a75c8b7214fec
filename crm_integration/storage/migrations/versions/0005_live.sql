CREATE INDEX ix_ledger_loose ON ledger (tenant_id, connection_id, object_type) WHERE state = 'synced' and (reason is not null or not needs <@ associated);

CREATE INDEX ix_ledger_mapping ON ledger (tenant_id, connection_id, object_type, mapping_digest);

ALTER TABLE webhook_queue ADD COLUMN asked_by TEXT;

CREATE TABLE lanes (
    lane SMALLINT NOT NULL,
    epoch BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    successor TEXT,
    CONSTRAINT pk_lanes PRIMARY KEY (lane)
);

GRANT SELECT, INSERT, UPDATE ON lanes TO crm_ops;

CREATE TABLE touched_partitions (
    tenant_id TEXT NOT NULL,
    object_type TEXT NOT NULL,
    day DATE NOT NULL,
    touched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    reported_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_touched_partitions PRIMARY KEY (tenant_id, object_type, day)
);

GRANT SELECT, INSERT, UPDATE ON touched_partitions TO crm_ops;

-- Which tenants have something to be tried again is asked over all of them; nothing of it is
-- personal.
CREATE POLICY overview ON ledger FOR SELECT TO crm_ops USING (true);

GRANT SELECT (tenant_id, connection_id, object_type, state, next_try_at, claim_expires_at, waiting_since) ON ledger TO crm_ops;
