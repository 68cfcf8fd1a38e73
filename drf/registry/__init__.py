"""Registry: the loadable model, its registration, evaluation and promotion."""
