"""From the EMR's schedule to Ocean: read, compare with what Ocean was told before, send the difference."""
