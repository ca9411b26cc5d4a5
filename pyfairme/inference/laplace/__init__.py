"""The guide "block": a second stage of Gaussian elimination, curvature and importance sampling."""
