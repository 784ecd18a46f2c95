SELECT
    room_id, name, owner, epoch, status, options, metadata, filters, max_clients, locked, private,
    (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
    (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
FROM rooms
WHERE status <> 'ended' AND ($1::text IS NULL OR name = $1)
ORDER BY rooms.updated_at DESC
LIMIT $2
