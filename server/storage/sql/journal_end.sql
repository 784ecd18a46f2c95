SELECT room_seq, epoch FROM actions WHERE room_id = $1 ORDER BY room_seq DESC LIMIT 1
