-- Plain INSERT: a duplicate is a fault to be heard of, not to be passed over.
WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
)
INSERT INTO actions (
    room_id, room_seq, epoch, kind, at, session_id, player_id, seq, intent, patch, events, tokens
)
SELECT entry.* FROM node, unnest($2::entry[]) AS entry
