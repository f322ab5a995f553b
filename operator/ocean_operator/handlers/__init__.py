"""When to look: every event of a watched object puts its clinic into the queue. Nothing is done here."""
