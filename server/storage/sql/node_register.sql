-- Idempotent, for whoever has lost the reply; but a fenced node stays fenced. The conflict is updated, for that looks at
-- the row anew: one that the first try inserts only while this statement waits isn't seen by it otherwise.
WITH node AS (
    INSERT INTO nodes (node_id, home, address) VALUES ($1, $2, $3)
    ON CONFLICT (node_id) DO UPDATE SET address = excluded.address WHERE NOT nodes.fenced
    RETURNING node_id
)
INSERT INTO node_heartbeats (node_id, lease, lease_until, unbroken_since)
SELECT node_id, $4::interval, clock_timestamp() + $4::interval, clock_timestamp() FROM node
ON CONFLICT (node_id) DO UPDATE SET lease_until = excluded.lease_until
RETURNING (extract(epoch FROM lease_until) * 1000)::bigint AS lease_until
