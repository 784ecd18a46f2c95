SELECT nodes.node_id, nodes.address, nodes.fenced, node_heartbeats.lease_until < clock_timestamp() AS lapsed
FROM rooms
LEFT JOIN nodes ON nodes.node_id = rooms.owner
LEFT JOIN node_heartbeats ON node_heartbeats.node_id = rooms.owner
WHERE rooms.room_id = $1 AND rooms.status <> 'ended'
