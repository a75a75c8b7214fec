CREATE TABLE proofs (
    tenant_id TEXT NOT NULL,
    proof_id BIGINT GENERATED ALWAYS AS IDENTITY,
    entity TEXT NOT NULL,
    day DATE,
    passed BOOLEAN NOT NULL,
    counts JSONB NOT NULL,
    samples JSONB NOT NULL,
    problem TEXT,
    highest_raw_id BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    proven_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_proofs PRIMARY KEY (tenant_id, proof_id),
    CONSTRAINT fk_proofs_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE INDEX ix_proofs_day ON proofs (tenant_id, entity, day, proof_id DESC);

ALTER TABLE proofs ENABLE ROW LEVEL SECURITY;

ALTER TABLE proofs FORCE ROW LEVEL SECURITY;

CREATE POLICY walls ON proofs TO crm_app USING (tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))) WITH CHECK (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')));

GRANT SELECT, INSERT ON proofs TO crm_app;

CREATE POLICY overview ON proofs FOR SELECT TO crm_ops USING (true);

GRANT SELECT (tenant_id, proof_id, entity, day, passed, counts, problem, highest_raw_id, run_id, proven_at) ON proofs TO crm_ops;
