WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), updated AS (
    UPDATE rooms
    SET metadata = $3, locked = $4, private = $5, updated_at = clock_timestamp()
    FROM node
    WHERE room_id = $2 AND owner = node.node_id
    RETURNING true AS done
)
SELECT coalesce(done, false) AS done FROM node LEFT JOIN updated ON true
