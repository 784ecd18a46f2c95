SELECT
    room_id, name, owner, epoch, status, options, metadata, filters, max_clients, locked, private,
    (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
    (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
FROM rooms
WHERE room_id = $1
