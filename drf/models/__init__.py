"""Return models, one file a family."""
