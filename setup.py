"""Keeps the tests that lie beside the code out of the wheel; everything else stands in pyproject.toml."""

from __future__ import annotations

from setuptools import setup
from setuptools.command.build_py import build_py


class WithoutTests(build_py):
    """Builds a package's modules, but not its tests."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = super().find_package_modules(package, package_dir)
        return [module for module in found if not module[1].endswith("_test") and module[1] != "conftest"]


setup(cmdclass={"build_py": WithoutTests})
