"""The steps: `v0001.py` and the SQL beside it, then whatever came after."""
