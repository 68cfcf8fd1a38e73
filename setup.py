"""All that pyproject.toml cannot say: a wheel brings ``conf/`` inside the package, where its commands look for it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigs(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib) / "drf" / "conf", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithConfigs})
