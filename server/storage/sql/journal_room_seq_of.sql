SELECT room_seq FROM actions WHERE room_id = $1 AND session_id = $2 AND seq = $3
