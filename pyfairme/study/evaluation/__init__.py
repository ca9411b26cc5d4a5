"""Judged rows to metrics: pooled over folds, with bootstrap replicates shared by all models."""
