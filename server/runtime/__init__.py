"""The asyncio around rooms: what runs them, commits for them, and keeps the node's lease."""
