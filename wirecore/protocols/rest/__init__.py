"""REST over WebSocket: HTTP requests in both directions on one connection."""
