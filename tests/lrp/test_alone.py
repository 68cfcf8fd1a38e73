"""drf.lrp is a package of its own, built from the same folder, and needs torch alone."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import drf
import drf.lrp

ROOT = Path(__file__).resolve().parents[2]
ALONE = """
import sys
sys.path[:0] = [{wheel!r}, {packages!r}]

class Elsewhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"numpy", "pandas", "matplotlib", "scipy", "sklearn", "mlflow", "hydra", "captum"}}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Elsewhere())
import torch
from drf_lrp import Composite, attribute
from drf_lrp.faithfulness import shapley_values
assert {wheel!r} in sys.modules["drf_lrp"].__file__

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = torch.nn.LSTM(2, 3, batch_first=True), torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

net, x = Net().double().eval(), torch.randn(4, 3, 2, dtype=torch.float64)
account = attribute(net, x, composite=Composite(gate="shapley"))
assert (account.relevance - shapley_values(net, x)).abs().max() < 0.1
print("explained", float(account.residual.abs().max()) < 1e-12)
"""


@pytest.mark.long
def test_it_is_built_and_runs_alone(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*pip, str(ROOT / "packaging" / "lrp")], check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "drf-lrp")
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert [re.split(r"[ >=]+", line)[1] for line in required] == ["torch"]
    assert f"Version: {drf.__version__}" in metadata
    built = {path.name for path in (tmp_path / "drf-lrp" / "drf_lrp").iterdir()}
    assert built == {path.name for path in Path(drf.lrp.__file__).parent.glob("*.py")} | {"VERSION"}
    program = ALONE.format(wheel=str(tmp_path / "drf-lrp"), packages=sysconfig.get_paths()["purelib"])
    # Without site-packages' own start-up the project, installed for editing, is not in sight.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "explained True\n", done.stderr


@pytest.mark.long
def test_its_source_distribution_builds_the_same_wheel(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(ROOT / "packaging" / "lrp"),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=300)  # the wheel is built from the sdist
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.partition("/")[2] for name in archive.namelist() if name.startswith("drf_lrp/")}
        roots = {name.partition("/")[0].partition("-")[0] for name in archive.namelist()}
    assert packed == {path.name for path in Path(drf.lrp.__file__).parent.glob("*.py")} | {"VERSION"}
    assert roots == {"drf_lrp"}, "no file of the distribution drf"
    with tarfile.open(sdist) as archive:
        assert not [entry.name for entry in archive if entry.issym() or entry.islnk()]


def test_the_reference_names_everything_that_is_public() -> None:
    reference = (ROOT / "docs" / "reference" / "lrp.md").read_text()
    assert all(f"`{name}" in reference for name in drf.lrp.__all__)
