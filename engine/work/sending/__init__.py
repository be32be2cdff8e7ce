"""Two commits around every hand-over to a provider, and what is done after a death between them."""
