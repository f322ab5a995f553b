"""The control plane: turns each OceanSite into Kubernetes objects, keeps its key in Vault, writes its status."""
