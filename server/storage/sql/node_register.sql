-- Idempotent, for whoever has lost the reply; but a fenced node stays fenced.
WITH made AS (
    INSERT INTO nodes (node_id, home, address) VALUES ($1, $2, $3) ON CONFLICT (node_id) DO NOTHING
    RETURNING node_id
), node AS (
    SELECT node_id FROM made UNION ALL SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced
)
INSERT INTO node_heartbeats (node_id, lease, lease_until, unbroken_since)
SELECT node_id, $4::interval, clock_timestamp() + $4::interval, clock_timestamp() FROM node
ON CONFLICT (node_id) DO UPDATE SET lease_until = excluded.lease_until
RETURNING (extract(epoch FROM lease_until) * 1000)::bigint AS lease_until
