"""The protocols that are spoken over WebSocket, each without I/O; none imports another."""
