"""From a composed config to everything that follows from it."""
