SELECT room_id, epoch FROM rooms WHERE room_id = ANY ($2::text[]) AND owner = $1
