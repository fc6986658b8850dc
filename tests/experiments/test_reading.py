"""Recipes: every mistake in one is one line that names the file, the key and the remedy."""

from pathlib import Path

import pytest

from deepsphere.experiments.reading import parse_value, read_recipe, recipe_names
from deepsphere.experiments.registry import RECIPE_TYPES

GOOD = """
experiment = "digits"
title = "a trial"
seeds = [0, 1]
[training]
epochs = 4
[quick.training]
epochs = 1
[[claims]]
name = "accuracy"
required = 90.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return path


def message_of(path: Path, **options: object) -> str:
    with pytest.raises(ValueError) as caught:
        read_recipe(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_in_both_forms(name: str, quick: bool):
    recipe = read_recipe(name, quick=quick)
    assert recipe.title
    assert recipe.claims or quick


def test_quick_table_replaces_values_and_claims_nothing_by_default(tmp_path: Path):
    path = write(tmp_path, GOOD)
    assert read_recipe(path).training.epochs == 4
    quick = read_recipe(path, quick=True)
    assert quick.training.epochs == 1
    assert quick.claims == ()
    assert quick.seeds == (0, 1)


def test_quick_table_claims_what_it_says_itself(tmp_path: Path):
    own = '[[quick.claims]]\nname = "accuracy"\nrequired = 50.0\n'
    path = write(tmp_path, GOOD + own)
    assert [claim.required for claim in read_recipe(path, quick=True).claims] == [50.0]
    assert [claim.required for claim in read_recipe(path).claims] == [90.0]


def test_overrides_replace_values(tmp_path: Path):
    path = write(tmp_path, GOOD)
    recipe = read_recipe(path, overrides={"training.epochs": 7, "seeds": [5]})
    assert (recipe.training.epochs, recipe.seeds) == (7, (5,))


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(FileNotFoundError, match=r"'digit', did you mean digits\?; recipes: "):
        read_recipe("digit")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "[training]\nepoch = 4",
            "trial.toml: unknown key training.epoch, did you mean training.epochs?; valid keys: "
            "epochs, batch_size, learning_rate, weight_decay, schedule",
        ),
        (
            "[trainin]\nepochs = 4",
            "trial.toml: unknown key trainin, did you mean training?; valid keys: experiment, "
            "title, claims, seeds, data, graph, model, rival, training, quick",
        ),
        ('[training]\nepochs = "4"', "training.epochs must be an integer, got '4'"),
        ("[training]\nepochs = 4.0", "training.epochs must be an integer, got 4.0"),
        ("[training]\nepochs = true", "training.epochs must be an integer, got true"),
        ("[training]\nepochs = 0", "training.epochs must be at least 1, got 0"),
        ("[training]\nnum_threads = 0", "training.num_threads must be at least 1, got 0"),
        ("[training]\nlearning_rate = nan", "learning_rate must be a finite number, got nan"),
        ("[training]\nlearning_rate = 0.0", "learning_rate must be greater than 0, got 0.0"),
        ("[data]\ncap_deg = 180", "data.cap_deg must be smaller than 180, got 180"),
        ("[model]\nchannels = []", "model.channels must be an array of at least 1, got []"),
        ("[model]\nchannels = 16", "model.channels must be an array, got 16"),
        ("[model]\nchannels = [16, -1]", "model.channels[1] must be at least 1, got -1"),
        (
            '[model]\npooling = "low-pass"',
            "model.pooling must be one of 'mean', 'area', 'max', 'low_pass', 'gaussian' or "
            "'subsample', got 'low-pass'",
        ),
        ("[graph]\nsampling = 8", "graph.sampling must be a text in quotes, got 8"),
        ('[graph]\nsampling = ""', "graph.sampling must be a text that is not empty, got ''"),
        ("model = 3", "model must be a table, got 3"),
        ("seeds = [4294967296]", "seeds[0] must be at most 4294967295, got 4294967296"),
        ("seeds = [1, 1]", "seeds must differ, got [1, 1]; name each one once"),
        ("quick = 3", "trial.toml: quick must be a table, got 3"),
        (
            "[quick.training]\nepoch = 1",
            "trial.toml, [quick]: unknown key training.epoch, did you mean training.epochs?",
        ),
        ("[[claims]]\nrequired = 1.0", "claims[0].name is missing; add it"),
        (
            '[[claims]]\nname = "a"',
            "claims[0] must hold required or published, got neither; add one",
        ),
        (
            '[[claims]]\nname = "a"\npublished = 1.0',
            "claims[0] must hold published and source together, got one; add the other",
        ),
        (
            '[[claims]]\nname = "a"\nrequired = 1.0\n[[claims]]\nname = "a"\nrequired = 1.0',
            "claims must differ in name, got 'a' twice; remove one",
        ),
        (
            '[[claims]]\nname = "a"\nrequired = 1.0\ntolerence = 1.0',
            "unknown key claims[0].tolerence, did you mean claims[0].tolerance?",
        ),
    ],
)
def test_bad_value_is_named_with_what_is_needed(tmp_path: Path, line: str, expected: str):
    head = 'experiment = "digits"\ntitle = "a trial"\n'
    assert expected in message_of(write(tmp_path, head + line))


def test_experiment_must_be_known(tmp_path: Path):
    names = ", ".join(RECIPE_TYPES)
    rule = f"trial.toml: experiment must be one of {names}, got "
    assert rule + "nothing; add the line" in message_of(write(tmp_path, 'title = "a"'))
    assert rule + "'shape'" in message_of(write(tmp_path, 'experiment = "shape"'))


def test_missing_title_is_named(tmp_path: Path):
    assert "title is missing" in message_of(write(tmp_path, 'experiment = "digits"'))


def test_further_mistakes_are_counted(tmp_path: Path):
    path = write(tmp_path, 'experiment = "digits"\ntitle = "a"\n[data]\nfoo = 1\nbar = 2\n')
    assert message_of(path).endswith("(and 1 more)")


def test_syntax_error_names_the_line(tmp_path: Path):
    path = write(tmp_path, 'experiment = "digits"\ntitle = a trial\n')
    assert message_of(path).startswith("trial.toml:2: must be valid TOML, got a syntax error")


def test_binary_file_is_rejected(tmp_path: Path):
    path = tmp_path / "trial.toml"
    path.write_bytes(b"\x93NUMPY\x01")
    assert "trial.toml must be a text file in UTF-8, got byte 0x93" in message_of(path)


def test_bad_override_blames_the_options(tmp_path: Path):
    message = message_of(write(tmp_path, GOOD), overrides={"training.epochs": "many"})
    assert message == (
        "trial.toml with the given options: training.epochs must be an integer, got 'many'"
    )


def test_fingerprint_tells_what_a_run_does_and_nothing_else(tmp_path: Path):
    path = write(tmp_path, GOOD)
    recipe = read_recipe(path)
    same = read_recipe(path, overrides={"seeds": [9], "title": "b", "claims": []})
    other = read_recipe(path, overrides={"training.epochs": 5})
    assert recipe.fingerprint() == same.fingerprint()
    assert recipe.fingerprint() != other.fingerprint()


def test_recipe_is_frozen_and_not_coerced(tmp_path: Path):
    recipe = read_recipe(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        recipe.title = "b"


def test_value_without_quotes_is_a_text():
    assert parse_value("healpix:8") == "healpix:8"
    assert parse_value('"8"') == "8"
    assert parse_value("false") is False
