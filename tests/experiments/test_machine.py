"""What is told about the machine: what decides a measurement, and nothing that names its owner."""

import getpass
import platform
import re
import sys
from pathlib import Path

import pytest

from deepsphere.experiments.machine import EXTRAS, Extra, describe_machine, describe_versions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_extras_are_those_of_the_project():
    declared = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    for extra in EXTRAS:
        names = {re.match(r"[\w-]+", line)[0] for line in declared[extra.name] if ";" not in line}
        assert set(extra.distributions) == names
    assert {extra.name for extra in EXTRAS} == set(declared) - {"all"}


def test_missing_packages_are_named_with_their_remedy():
    extra = Extra("made-up", "nothing", ("torch", "no-such-package-anywhere"))
    assert extra.missing() == ["no-such-package-anywhere"]
    assert extra.install_command == 'pip install "deepsphere-torch[made-up]"'


def test_machine_and_versions_tell_nothing_about_the_owner():
    told = {**describe_machine(), **describe_versions()}
    assert told["cores"] >= 1
    assert told["torch"]
    for secret in {platform.node(), getpass.getuser(), str(Path.home())} - {"", "root"}:
        assert not any(secret == str(value) for value in told.values())


@pytest.mark.parametrize("key", ["system", "processor", "threads", "accelerator"])
def test_machine_is_described(key: str):
    assert describe_machine()[key]
