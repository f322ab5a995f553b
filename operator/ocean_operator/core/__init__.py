"""What the operator decides, in pure functions: no clock, no environment, no network."""
