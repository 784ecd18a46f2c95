WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), given AS (
    UPDATE characters
    SET profile = $5, room_id = NULL, session_id = NULL, room_seq = NULL
    FROM node
    WHERE player_id = $2 AND room_id = $3 AND session_id = $4
    RETURNING true AS done
)
SELECT coalesce(done, false) AS done FROM node LEFT JOIN given ON true
