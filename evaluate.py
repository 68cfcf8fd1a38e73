"""Judge the champion and the versions that wait to be judged, and promote what passes.

python evaluate.py [key=value ...]; audit=true runs the leak suite. People decide with promote=VERSION, rollback=true
(or VERSION), hold=true (or false) and archive=VERSION, each with reason='...'. Exit code 4: the champion is missing,
cannot be judged or fails its gates.
"""

from drf.cli.main import evaluate

if __name__ == "__main__":
    evaluate()
