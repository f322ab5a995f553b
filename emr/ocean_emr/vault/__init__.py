"""How a pod proves who it is, and what it gets for that: its site's key and a short-lived database login."""
