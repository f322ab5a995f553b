"""The API both planes share: the OceanSite models, their conditions and reasons, and the names both must know."""
