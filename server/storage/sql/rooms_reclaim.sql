-- By whoever was these nodes itself. Rooms that others have claimed meanwhile stay theirs; one whose row somebody locks
-- is left alone, or it would make all the others wait.
WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), free AS MATERIALIZED (
    SELECT room_id FROM rooms
    WHERE room_id = ANY ($3::text[]) AND owner = ANY ($2::text[])
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE rooms
    SET owner = node.node_id, epoch = epoch + 1, updated_at = clock_timestamp()
    FROM node, free
    WHERE rooms.room_id = free.room_id
)
SELECT true FROM node
