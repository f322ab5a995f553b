"""For tests and trials only: the conformance checks, and simulators that are real servers."""
