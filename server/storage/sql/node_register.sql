WITH node AS (
    INSERT INTO nodes (node_id, home, address) VALUES ($1, $2, $3) RETURNING node_id
)
INSERT INTO node_heartbeats (node_id, lease, lease_until, unbroken_since)
SELECT node_id, $4::interval, clock_timestamp() + $4::interval, clock_timestamp() FROM node
RETURNING (extract(epoch FROM lease_until) * 1000)::bigint AS lease_until
