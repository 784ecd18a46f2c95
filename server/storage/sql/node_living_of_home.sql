-- A home with workers holds theirs: `<home>/<number>`.
SELECT node_id FROM nodes WHERE (home = $1 OR starts_with(home, $1 || '/')) AND NOT fenced AND node_id IS DISTINCT FROM $2
