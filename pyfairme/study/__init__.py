"""Studies: how data are split, and the comparison that the demo makes of two models."""

from pyfairme.study.splits import Rotation, rotations, seen_clusters

__all__ = ["Rotation", "rotations", "seen_clusters"]
