"""Which settings: each family's search before the first test month."""
