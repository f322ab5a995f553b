"""The schema's history, one step each, run by `ocean-migrate` alone.

Expand, then contract: a step only adds what the running version does not mind; what is no longer used goes
one release later. So old and new pods work on the same schema while they are replaced, and no step is undone.
"""
