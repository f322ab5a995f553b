"""The data plane: what a clinic's pods run. It knows the EMR, Ocean, Vault and the database, and no Kubernetes."""
