SELECT room_id
FROM rooms
LEFT JOIN nodes ON nodes.node_id = rooms.owner
LEFT JOIN node_heartbeats ON node_heartbeats.node_id = rooms.owner
WHERE rooms.name = $1
  AND rooms.filters @> $2::bytea[]
  AND NOT rooms.locked
  AND NOT rooms.private
  AND (
      rooms.status = 'dormant'
      OR rooms.status = 'active' AND (nodes.fenced OR node_heartbeats.lease_until < clock_timestamp())
  )
ORDER BY rooms.updated_at DESC
LIMIT 1
