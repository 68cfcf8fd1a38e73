"""Use cases: settings in, a result out. Nothing here prints or exits, so that programs and notebooks can call these
functions."""
