"""The edge: HTTP, matchmaking and sockets. Access tokens end here; inward go player, name and role only."""
