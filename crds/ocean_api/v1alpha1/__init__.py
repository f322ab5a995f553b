"""`ocean.cloudconnect.dev/v1alpha1`."""
