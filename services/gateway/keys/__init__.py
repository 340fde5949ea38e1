"""`python -m services.gateway.keys`: adds, lists, hashes and revokes the API keys of a site."""
