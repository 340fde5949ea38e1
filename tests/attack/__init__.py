"""`make attack`: attacks a running product, while a second sender measures its own answers."""
