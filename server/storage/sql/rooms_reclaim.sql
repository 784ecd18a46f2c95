-- By whoever was these nodes itself. Rooms that others have claimed meanwhile stay theirs.
WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), claimed AS (
    UPDATE rooms
    SET owner = node.node_id, epoch = epoch + 1, updated_at = clock_timestamp()
    FROM node
    WHERE room_id = ANY ($3::text[]) AND owner = ANY ($2::text[])
)
SELECT true FROM node
