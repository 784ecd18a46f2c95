"""The same game on other servers, to be measured beside ours; each is a program of its own (see README.md)."""
