"""Deep recurrent factor models: forecast stock returns, and account for every forecast.

Rooms, in the order in which data flow and imports are allowed (later may import earlier, never the reverse):
``data``, ``windows``, ``lrp``, ``models``, ``walkforward`` and ``tuning``, ``evaluation``, ``report``,
``tracking``, ``registry``.
"""

__version__ = "0.1.0"
