"""The local Kubernetes cluster and the servers that tests and the demo run against. Never shipped."""
