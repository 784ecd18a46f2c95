WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), released AS (
    UPDATE rooms
    SET owner = NULL, status = $3, updated_at = clock_timestamp()
    FROM node
    WHERE room_id = $2 AND owner = node.node_id AND epoch = $4
)
SELECT true FROM node
