WITH node AS MATERIALIZED (
    SELECT FROM nodes WHERE node_id = $1 AND NOT fenced FOR SHARE
), created AS (
    INSERT INTO characters (player_id, name, profile)
    SELECT $2::text, $3::text, $4::bytea FROM node
    ON CONFLICT (player_id) DO NOTHING
)
SELECT true FROM node
