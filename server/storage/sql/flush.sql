-- Plain INSERT: a duplicate is a fault to be heard of, not to be passed over.
WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
)
INSERT INTO actions (
    room_id, room_seq, epoch, kind, at, session_id, player_id, seq, intent, patch, events, tokens
)
SELECT entry.*
FROM node, unnest(
    $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
    $8::text[], $9::bigint[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[]
) AS entry
