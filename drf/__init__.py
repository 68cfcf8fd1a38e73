"""Deep recurrent factor models: forecast stock returns, and account for every forecast.

Every folder is a room that imports only from the rooms below it. Their order stands in ``pyproject.toml``
(``tool.importlinter``); CONTRIBUTING.md has a picture.
"""

__version__ = "0.2.0"
