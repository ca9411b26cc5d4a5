"""Cross-validation over seen and unseen clusters: splits, fits, their store and workers."""
