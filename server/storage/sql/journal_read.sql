SELECT room_id, room_seq, epoch, kind, at, session_id, player_id, seq, intent, patch, events, tokens
FROM actions
WHERE room_id = $1 AND room_seq > $2 AND room_seq <= $3
ORDER BY room_seq
LIMIT $4
