CREATE INDEX ix_ledger_loose ON ledger (tenant_id, connection_id, object_type) WHERE state = 'synced' and (reason is not null or not needs <@ associated);

CREATE INDEX ix_ledger_mapping ON ledger (tenant_id, connection_id, object_type, mapping_digest);
