SELECT player_id, name, profile, room_id, session_id, room_seq FROM characters WHERE player_id = $1
