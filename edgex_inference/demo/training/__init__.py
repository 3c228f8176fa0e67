"""Training of the demo's two models, from fixed seeds (needs the extra `training`)."""
