"""One module per EMR. Import none of them here: a pod loads only its own, through `ocean_emr.registry`."""
