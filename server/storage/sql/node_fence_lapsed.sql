-- A node that has itself only just come back from a pause must not judge others: the pause may have been the database's.
WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), fenced AS (
    UPDATE nodes SET fenced = true
    FROM node, node_heartbeats AS mine, node_heartbeats AS theirs
    WHERE nodes.node_id = $2
      AND mine.node_id = node.node_id
      AND theirs.node_id = nodes.node_id
      AND theirs.lease_until < clock_timestamp()
      AND mine.lease_until > clock_timestamp()
      AND mine.unbroken_since + mine.lease < clock_timestamp()
    RETURNING true AS done
)
SELECT coalesce(done, false) AS done FROM node LEFT JOIN fenced ON true
