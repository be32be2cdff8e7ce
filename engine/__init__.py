"""The engine: reads journeys, decides per person, sends once, and can say why."""
