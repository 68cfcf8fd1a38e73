"""The loadable model, its registration and its promotion."""
