"""Search of an estimator's keywords: trials, their shared store, and the one to take."""
