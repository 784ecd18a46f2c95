-- The flush of entries that move characters; each character at most once (PostgreSQL updates a row once a statement).
WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), move AS MATERIALIZED (
    SELECT move.* FROM node, unnest($3::move[]) AS move
), moved AS (
    UPDATE characters
    SET room_id = move.room_id,
        session_id = move.session_id,
        room_seq = move.room_seq,
        profile = coalesce(move.profile, characters.profile)
    FROM move
    WHERE characters.player_id = move.player_id
      AND (
          (characters.room_id, characters.session_id) = (move.from_room_id, move.from_session_id)
          OR move.from_rest AND characters.room_id IS NULL
      )
    RETURNING characters.player_id
), refused AS MATERIALIZED (
    SELECT refuse_take(move.player_id)
    FROM move LEFT JOIN moved USING (player_id)
    WHERE move.takes AND moved.player_id IS NULL
)
INSERT INTO actions (
    room_id, room_seq, epoch, kind, at, session_id, player_id, seq, intent, patch, events, tokens
)
SELECT entry.* FROM node, unnest($2::entry[]) AS entry
WHERE NOT EXISTS (SELECT FROM refused)
