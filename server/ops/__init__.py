"""What operators see: logs, metrics, health, degraded signals. Nothing here decides what a room does."""
