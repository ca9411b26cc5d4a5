"""What fairness costs: one model at many strengths of its penalties."""
