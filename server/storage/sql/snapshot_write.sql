-- Those from which $8 and more newer ones make it superfluous go; the entries stay, so any state can still be folded.
WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), written AS (
    INSERT INTO snapshots (room_id, room_seq, epoch, state, sessions, at)
    SELECT $2::text, $3::bigint, $4::bigint, $5::bytea, $6::bytea, $7::bigint FROM node
    ON CONFLICT (room_id, room_seq) DO UPDATE
    SET epoch = excluded.epoch, state = excluded.state, sessions = excluded.sessions, at = excluded.at
    WHERE snapshots.epoch <= excluded.epoch
), older AS (
    DELETE FROM snapshots USING node
    WHERE room_id = $2 AND room_seq < $3 AND room_seq NOT IN (
        SELECT room_seq FROM snapshots WHERE room_id = $2 AND room_seq < $3 ORDER BY room_seq DESC LIMIT $8 - 1
    )
)
SELECT true FROM node
