"""How a model is fitted and used: guides, the SVI loop, predictions and posteriors."""
