"""What is assumed: the network, the random effects, the likelihood and the fairness penalties."""
