"""What the operator does about one clinic: read the present, ask the core, write the difference. Never imports kopf."""
