"""The real servers that tests and the demo talk to, each on loopback, in a folder of its own, gone with its maker."""
