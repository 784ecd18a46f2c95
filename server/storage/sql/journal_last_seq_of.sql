SELECT max(seq) AS seq FROM actions WHERE room_id = $1 AND session_id = $2 AND seq IS NOT NULL
