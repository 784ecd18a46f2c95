"""The Colyseus wire as pure functions: frames, their headers and their payloads. Sockets are elsewhere, in `edge`."""
