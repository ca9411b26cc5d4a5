"""Decisions after training: thresholds of a fitted classifier, chosen for a stated criterion."""
