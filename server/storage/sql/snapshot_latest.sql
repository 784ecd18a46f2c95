SELECT room_id, room_seq, epoch, state, sessions, at
FROM snapshots
WHERE room_id = $1 AND room_seq <= $2
ORDER BY room_seq DESC
LIMIT 1
