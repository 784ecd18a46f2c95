SELECT room.room_id, coalesce(last.room_seq, 0) AS room_seq, coalesce(last.epoch, 0) AS epoch
FROM unnest($1::text[]) AS room (room_id)
LEFT JOIN LATERAL (
    SELECT room_seq, epoch FROM actions WHERE actions.room_id = room.room_id ORDER BY room_seq DESC LIMIT 1
) AS last ON true
