"""Jobs of a clinic other than its synchronisation."""
