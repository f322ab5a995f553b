"""Messages from Ocean on their way to the EMR."""
