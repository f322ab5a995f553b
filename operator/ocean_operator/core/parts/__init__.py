"""The objects of a clinic, one file each. A new child is a new file here and a line in `children.py`."""
