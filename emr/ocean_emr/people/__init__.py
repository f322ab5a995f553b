"""What people do with a clinic's messages, as themselves: through Vault, never through the operator or a pod."""
