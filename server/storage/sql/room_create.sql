WITH node AS MATERIALIZED (
    SELECT node_id FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
)
INSERT INTO rooms (room_id, name, owner, epoch, status, options, metadata, filters, max_clients, locked, private)
SELECT $2::text, $3::text, node_id, 1, 'active', $4::bytea, $5::bytea, $6::bytea[], $7::integer, $8::boolean, $9::boolean
FROM node
RETURNING
    room_id, name, owner, epoch, status, options, metadata, filters, max_clients, locked, private,
    (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
    (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
