"""Who gets in: waves, silences, requests, happenings and crossings open runs; pages of people go through them."""
