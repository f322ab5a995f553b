"""Ocean's side of the bridge: its cryptography, its client, and our own upload profile."""
