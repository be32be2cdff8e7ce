"""The world outside: a contract, a suite that holds every provider to it, and the providers."""
