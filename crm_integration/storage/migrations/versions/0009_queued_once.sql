-- Revision 0009. Never edited: a change is a new revision.

-- What is kept is queued with it, and what was kept already is not queued again: the role that
-- keeps deliveries may not read, so that only the table itself can tell the two apart.
CREATE FUNCTION queue_deliveries() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    -- The lane is what `lane_of` says; its test holds the two together.
    INSERT INTO webhook_queue (lane, drop_id, tenant_id)
        SELECT mod(get_byte(sha256(convert_to(tenant_id, 'UTF8')), 0), 16), drop_id, tenant_id
        FROM fresh;
    -- Heard at the commit by whoever drains the lane; nobody relies on it.
    PERFORM pg_notify('webhook_drop', lane || ' ' || tenant_id) FROM (
        SELECT DISTINCT tenant_id,
            mod(get_byte(sha256(convert_to(tenant_id, 'UTF8')), 0), 16) AS lane
        FROM fresh) told;
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION queue_deliveries() FROM PUBLIC;

CREATE TRIGGER queued AFTER INSERT ON webhook_drop
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION queue_deliveries();
