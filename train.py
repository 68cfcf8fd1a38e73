"""Fit the families walk-forward, put their rows side by side in MLflow, register the newest models.

python train.py [key=value ...]; the keys are those of conf/ (python train.py --cfg job shows them all).
"""

from drf.cli.main import train

if __name__ == "__main__":
    train()
