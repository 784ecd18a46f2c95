-- Of many claims at once the first to lock the room's row wins; the others wait for it, look at the row again, and find
-- an owner that isn't fenced. It must be asked that way round: an owner that registered after this statement began isn't
-- seen by it, so "there is no living owner" would be true of it.
WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), claimed AS (
    UPDATE rooms
    SET owner = node.node_id, epoch = epoch + 1, status = 'active', updated_at = clock_timestamp()
    FROM node
    WHERE room_id = $2 AND (
        status = 'dormant'
        OR owner = node.node_id
        OR status = 'active' AND EXISTS (SELECT FROM nodes WHERE nodes.node_id = rooms.owner AND nodes.fenced)
    )
    RETURNING
        room_id, name, owner, epoch, status, options, metadata, filters, max_clients, locked, private,
        (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
        (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
)
SELECT claimed.* FROM node LEFT JOIN claimed ON true
