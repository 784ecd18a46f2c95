UPDATE nodes SET fenced = true WHERE node_id = $1 AND NOT fenced
