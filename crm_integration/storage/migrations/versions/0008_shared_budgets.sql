-- Revision 0008. Never edited: a change is a new revision.
-- All moments are epoch seconds of the database's clock.

ALTER TABLE budgets ADD COLUMN tenants INTEGER[] DEFAULT '{}' NOT NULL;
ALTER TABLE budgets ADD COLUMN claims JSONB DEFAULT '{}' NOT NULL;
ALTER TABLE budgets ADD COLUMN told_limit INTEGER;
ALTER TABLE budgets ADD COLUMN others INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE budgets ADD COLUMN others_until DOUBLE PRECISION DEFAULT 0 NOT NULL;
ALTER TABLE budgets ADD COLUMN blocked_until DOUBLE PRECISION DEFAULT 0 NOT NULL;
ALTER TABLE budgets ADD COLUMN rate DOUBLE PRECISION DEFAULT 1 NOT NULL;
ALTER TABLE budgets ADD COLUMN slowed_at DOUBLE PRECISION DEFAULT 0 NOT NULL;
ALTER TABLE budgets ADD COLUMN used INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE budgets ADD COLUMN used_since DOUBLE PRECISION DEFAULT 0 NOT NULL;

-- The log of the first release names no tenants: 0 is nobody.
UPDATE budgets SET tenants = array_fill(0, ARRAY[cardinality(starts)]);

-- How many calls a purpose may have in this window, as things stand.
CREATE FUNCTION budget_room(b budgets, ask JSONB, moment FLOAT8) RETURNS INTEGER
LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(1, floor(
        (coalesce(b.told_limit, (ask->>'calls')::int)
            - CASE WHEN b.others_until > moment THEN b.others ELSE 0 END)
        * least(1, b.rate + greatest(0, moment - b.slowed_at)
            / (ask->>'seconds')::float8 * (ask->>'recovery')::float8)
        * (ask->>'share')::float8 + 0.5)::int)
$$;

-- When a call of this tenant may leave by this row. A call is free to leave as soon as the one
-- `room` places before it lies a window back; it may leave before calls that are booked already,
-- since no window around it then holds more than `room`. While others claim their share, a tenant
-- above its own goes by its own calls alone.
CREATE FUNCTION budget_turn(
    b budgets, ask JSONB, tenant INTEGER, purpose_rank INTEGER, moment FLOAT8
) RETURNS FLOAT8 LANGUAGE plpgsql STABLE AS $$
DECLARE
    room INTEGER := budget_room(b, ask, moment);
    span FLOAT8 := (ask->>'window')::float8;
    held INTEGER := cardinality(b.starts);
    turn FLOAT8 := greatest(moment, b.blocked_until);
    share INTEGER;
    missing INTEGER;
    claimants INTEGER;
    inside INTEGER[];
    mine FLOAT8[];
BEGIN
    IF (ask->>'counted')::boolean THEN
        IF b.used >= greatest(1, floor(coalesce(b.told_limit, (ask->>'calls')::int)
                * (ask->>'share')::float8)::int) THEN
            turn := greatest(turn, coalesce((ask->>'until')::float8, b.used_since + span));
        END IF;
        RETURN turn;
    END IF;
    IF held >= room THEN
        turn := greatest(turn, b.starts[held + 1 - room] + span);
    END IF;
    IF b.claims = '{}' THEN
        RETURN turn;
    END IF;
    SELECT array_agg(b.tenants[i]) INTO inside
        FROM generate_subscripts(b.starts, 1) i WHERE b.starts[i] > turn - span;
    SELECT count(*) INTO claimants FROM jsonb_each(b.claims) c
        WHERE c.key::int <> tenant AND (c.value->>'until')::float8 > moment
            AND (c.value->>'rank')::int >= purpose_rank;
    share := greatest(1, room / (claimants + 1));
    SELECT coalesce(sum(greatest(0, least(share, (c.value->>'want')::int)
            - cardinality(array_positions(inside, c.key::int)))), 0) INTO missing
        FROM jsonb_each(b.claims) c
        WHERE c.key::int <> tenant AND (c.value->>'until')::float8 > moment
            AND (c.value->>'rank')::int >= purpose_rank;
    IF missing > 0 AND coalesce(cardinality(inside), 0) + missing >= room THEN
        SELECT array_agg(b.starts[i] ORDER BY i) INTO mine
            FROM generate_subscripts(b.starts, 1) i WHERE b.tenants[i] = tenant;
        IF coalesce(cardinality(mine), 0) >= share THEN
            turn := greatest(turn, mine[cardinality(mine) + 1 - share] + span);
        END IF;
    END IF;
    RETURN turn;
END $$;

-- What a caller learned since it last asked: when its last call really left, and what the
-- vendor's answer said of the limit and of what is left of it.
CREATE FUNCTION budget_heard(b budgets, ask JSONB, moment FLOAT8) RETURNS budgets
LANGUAGE plpgsql STABLE AS $$
DECLARE
    place INTEGER;
    free INTEGER;
BEGIN
    IF (ask->>'counted')::boolean THEN
        IF coalesce((ask->>'since')::float8, 0) > b.used_since THEN
            b.used := 0;
            b.used_since := (ask->>'since')::float8;
        ELSIF ask->>'since' IS NULL AND b.used_since + (ask->>'window')::float8 <= moment THEN
            b.used := 0;
            b.used_since := moment;
        END IF;
    END IF;
    IF ask ? 'late' THEN
        place := array_position(b.starts, (ask->>'was')::float8);
        IF place IS NOT NULL THEN
            b.starts[place] := (ask->>'was')::float8 + (ask->>'late')::float8;
            SELECT array_agg(s ORDER BY s), array_agg(t ORDER BY s) INTO b.starts, b.tenants
                FROM unnest(b.starts, b.tenants) AS l (s, t);
        END IF;
    END IF;
    IF ask ? 'limit' THEN
        b.told_limit := (ask->>'limit')::int;
    END IF;
    IF ask ? 'remaining' THEN
        free := (ask->>'remaining')::int;
        IF (ask->>'counted')::boolean THEN
            b.used := greatest(0, coalesce(b.told_limit, (ask->>'calls')::int) - free);
        ELSE
            SELECT coalesce(b.told_limit, (ask->>'calls')::int) - free - count(*) INTO place
                FROM unnest(b.starts) s
                WHERE s <= (ask->>'heard')::float8
                    AND s > (ask->>'heard')::float8 - (ask->>'seconds')::float8;
            b.others := greatest(0, place);
            b.others_until := (ask->>'heard')::float8 + (ask->>'seconds')::float8;
        END IF;
    END IF;
    RETURN b;
END $$;

-- One call booked in all its budgets, or in none: then its tenant claims a share where it waits.
CREATE FUNCTION book_call(
    side TEXT, platform TEXT, account BYTEA, asks JSONB, tenant INTEGER, purpose_rank INTEGER,
    reach FLOAT8, patience FLOAT8, OUT booked BOOLEAN, OUT turn FLOAT8, OUT moment FLOAT8
) LANGUAGE plpgsql AS $$
DECLARE
    ask JSONB;
    b budgets;
    found_rows budgets[] := '{}';
    own FLOAT8;
    place INTEGER;
    span FLOAT8;
BEGIN
    turn := 0;
    -- In the order of their names, so that two callers never wait for each other.
    FOR ask IN SELECT value FROM jsonb_array_elements(asks) ORDER BY value->>'name' LOOP
        LOOP
            SELECT * INTO b FROM budgets r WHERE r.side = book_call.side
                AND r.platform = book_call.platform AND r.account = book_call.account
                AND r.endpoint_class = ask->>'name' FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO budgets (side, platform, account, endpoint_class, starts)
                VALUES (side, platform, account, ask->>'name', '{}') ON CONFLICT DO NOTHING;
        END LOOP;
        moment := extract(epoch FROM clock_timestamp());
        b := budget_heard(b, ask, moment);
        found_rows := array_append(found_rows, b);
        turn := greatest(turn, budget_turn(b, ask, tenant, purpose_rank, moment));
    END LOOP;
    booked := turn <= moment + reach;
    FOREACH b IN ARRAY found_rows LOOP
        SELECT value INTO ask FROM jsonb_array_elements(asks) WHERE value->>'name' = b.endpoint_class;
        span := (ask->>'window')::float8;
        IF booked THEN
            b.calls := b.calls + 1;
            b.used := b.used + 1;
            IF NOT (ask->>'counted')::boolean THEN
                place := cardinality(b.starts);
                WHILE place > 0 AND b.starts[place] > turn LOOP
                    place := place - 1;
                END LOOP;
                b.starts := b.starts[:place] || turn || b.starts[place + 1:];
                b.tenants := b.tenants[:place] || tenant || b.tenants[place + 1:];
                -- What lies a window back says nothing any more.
                SELECT greatest(count(*), cardinality(b.starts)
                    - greatest((ask->>'calls')::int, coalesce(b.told_limit, 0))) INTO place
                    FROM unnest(b.starts) s WHERE s <= moment - span;
                IF place > 0 THEN
                    b.starts := b.starts[place + 1:];
                    b.tenants := b.tenants[place + 1:];
                END IF;
            END IF;
        ELSIF turn <= moment + patience AND NOT (ask->>'counted')::boolean THEN
            SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO b.claims
                FROM jsonb_each(b.claims)
                WHERE (value->>'until')::float8 > moment AND key::int <> tenant;
            SELECT 2 * count(*) + 1 INTO place FROM generate_subscripts(b.starts, 1) i
                WHERE b.tenants[i] = tenant AND b.starts[i] > moment - span;
            b.claims := b.claims || jsonb_build_object(tenant::text, jsonb_build_object(
                'until', turn + span + 1, 'want', place, 'rank', purpose_rank));
        END IF;
        UPDATE budgets r SET starts = b.starts, tenants = b.tenants, claims = b.claims,
                told_limit = b.told_limit, others = b.others, others_until = b.others_until,
                used = b.used, used_since = b.used_since, calls = b.calls
            WHERE r.side = b.side AND r.platform = b.platform AND r.account = b.account
                AND r.endpoint_class = b.endpoint_class;
    END LOOP;
END $$;

-- The vendor refused: all processes pause, and the rate is halved once for each overrun:
-- what else is refused within `settle` seconds was under way already.
CREATE FUNCTION refuse_calls(
    side TEXT, platform TEXT, account BYTEA, name TEXT, pause FLOAT8, seconds FLOAT8,
    recovery FLOAT8, least_rate FLOAT8, settle FLOAT8, slower BOOLEAN
) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO budgets AS b (side, platform, account, endpoint_class, starts, blocked_until,
            rate, slowed_at)
        VALUES (side, platform, account, name, '{}',
            extract(epoch FROM clock_timestamp()) + pause,
            CASE WHEN slower THEN 0.5 ELSE 1 END,
            CASE WHEN slower THEN extract(epoch FROM clock_timestamp()) + pause ELSE 0 END)
    ON CONFLICT ON CONSTRAINT pk_budgets DO UPDATE SET
        blocked_until = greatest(b.blocked_until, excluded.blocked_until),
        rate = CASE WHEN slower AND b.slowed_at + settle < extract(epoch FROM clock_timestamp())
            THEN greatest(least_rate, least(1, b.rate
                + (extract(epoch FROM clock_timestamp()) - b.slowed_at) / seconds * recovery) / 2)
            ELSE b.rate END,
        slowed_at = CASE WHEN slower AND b.slowed_at + settle < extract(epoch FROM clock_timestamp())
            THEN excluded.slowed_at ELSE b.slowed_at END
$$;

REVOKE ALL ON FUNCTION budget_room(budgets, JSONB, FLOAT8) FROM PUBLIC;
REVOKE ALL ON FUNCTION budget_turn(budgets, JSONB, INTEGER, INTEGER, FLOAT8) FROM PUBLIC;
REVOKE ALL ON FUNCTION budget_heard(budgets, JSONB, FLOAT8) FROM PUBLIC;
REVOKE ALL ON FUNCTION book_call(
    TEXT, TEXT, BYTEA, JSONB, INTEGER, INTEGER, FLOAT8, FLOAT8) FROM PUBLIC;
REVOKE ALL ON FUNCTION refuse_calls(
    TEXT, TEXT, BYTEA, TEXT, FLOAT8, FLOAT8, FLOAT8, FLOAT8, FLOAT8, BOOLEAN) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION budget_room(budgets, JSONB, FLOAT8) TO crm_ops;
GRANT EXECUTE ON FUNCTION budget_turn(budgets, JSONB, INTEGER, INTEGER, FLOAT8) TO crm_ops;
GRANT EXECUTE ON FUNCTION budget_heard(budgets, JSONB, FLOAT8) TO crm_ops;
GRANT EXECUTE ON FUNCTION book_call(
    TEXT, TEXT, BYTEA, JSONB, INTEGER, INTEGER, FLOAT8, FLOAT8) TO crm_ops;
GRANT EXECUTE ON FUNCTION refuse_calls(
    TEXT, TEXT, BYTEA, TEXT, FLOAT8, FLOAT8, FLOAT8, FLOAT8, FLOAT8, BOOLEAN) TO crm_ops;
