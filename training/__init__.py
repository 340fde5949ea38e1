"""Training: the same pixel functions as the services, and a bundle at the end."""
