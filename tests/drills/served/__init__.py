"""Drills of daemons on servers: whatever goes away, and whoever dies, the end is the same."""
