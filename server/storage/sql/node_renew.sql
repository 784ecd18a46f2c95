WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
)
UPDATE node_heartbeats
SET lease = $2,
    lease_until = clock_timestamp() + $2,
    unbroken_since = CASE WHEN lease_until < clock_timestamp() THEN clock_timestamp() ELSE unbroken_since END
FROM node
WHERE node_heartbeats.node_id = node.node_id
RETURNING (extract(epoch FROM lease_until) * 1000)::bigint AS lease_until
