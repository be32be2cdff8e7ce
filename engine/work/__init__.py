"""Transactions, network, the order of things."""
