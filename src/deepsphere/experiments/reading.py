"""From a TOML file to a checked recipe, with errors that name the file, the key and the remedy."""

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from deepsphere.experiments.config import Recipe
from deepsphere.experiments.registry import RECIPE_TYPES

if sys.version_info >= (3, 11):
    import tomllib
else:  # the parser of the standard library, before it was there
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)
RECIPE_FOLDER = Path(__file__).parent / "recipes"

_RULES = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "finite_number": "a finite number",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
}


def recipe_names() -> list[str]:
    """The names of the recipes that come with the package.

    Returns
    -------
    list of str
        Sorted, without folder and extension.

    Examples
    --------
    >>> "digits" in recipe_names()
    True
    """
    return sorted(path.stem for path in RECIPE_FOLDER.glob("*.toml"))


def read_recipe(
    name_or_path: str | Path,
    *,
    quick: bool = False,
    overrides: Mapping[str, Any] | None = None,
    recipe_type: type[AnyRecipe] = Recipe,
) -> AnyRecipe:
    """The checked recipe of that name or in that file.

    The table ``[quick]`` of a recipe holds, in the same layout, the values that its short form
    replaces. The short form shows that everything runs, and claims only what that table does.

    Parameters
    ----------
    name_or_path
        One of `recipe_names`, or the path of a TOML file.
    quick
        Whether to take the short form.
    overrides
        Values that replace those of the file, by dotted key, e.g. ``{"training.epochs": 5}``.
    recipe_type
        The type of recipe that is needed; that of any experiment by default.

    Returns
    -------
    AnyRecipe
        Of the given type.

    Raises
    ------
    FileNotFoundError
        If there is no such recipe and no such file.
    ValueError
        If the file is not TOML, holds a key that is unknown, misses one, holds a value of the
        wrong type or out of range, or is about another experiment than is needed.

    Examples
    --------
    >>> read_recipe("digits", overrides={"training.epochs": 5}).training.epochs
    5
    """
    path = _find(name_or_path)
    raw = _parse(path)
    changes = raw.pop("quick", {})
    if not isinstance(changes, dict):
        raise ValueError(f"{path.name}: quick must be a table, got {_show(changes)}")
    recipe = _validate(raw, path.name)
    # the short form is checked even when it is not asked for: a typo in it is found at once
    quick_raw = _merged({**raw, "claims": []}, changes)
    quick_recipe = _validate(quick_raw, f"{path.name}, [quick]")
    chosen = quick_recipe if quick else recipe
    if overrides:
        chosen_raw = quick_raw if quick else raw
        for key, value in overrides.items():
            chosen_raw = _merged(chosen_raw, _nested(key, value))
        chosen = _validate(chosen_raw, f"{path.name} with the given options")
    if not isinstance(chosen, recipe_type):
        needed = [name for name, kind in RECIPE_TYPES.items() if issubclass(kind, recipe_type)]
        raise ValueError(
            f"{path.name}: experiment must be {' or '.join(needed)} here, got "
            f"{chosen.experiment!r}; run it with  deepsphere reproduce {name_or_path}"
        )
    return chosen


def parse_value(text: str) -> Any:
    """The value that a text stands for in TOML; what is no TOML value is a text.

    Parameters
    ----------
    text
        One value.

    Returns
    -------
    int, float, bool, str, list or dict

    Examples
    --------
    >>> parse_value("[8, 16]"), parse_value("1e-3"), parse_value("healpix:8")
    ([8, 16], 0.001, 'healpix:8')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _find(name_or_path: str | Path) -> Path:
    """The file of a recipe; names of the package come before files of the working folder."""
    text = str(name_or_path)
    if text in recipe_names():
        return RECIPE_FOLDER / f"{text}.toml"
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"recipe must be a name or a TOML file, got {text!r}{_nearest(text, recipe_names())}; "
        f"recipes: {', '.join(recipe_names())}"
    )


def _parse(path: Path) -> dict[str, Any]:
    """The raw tables of a TOML file; errors name file and line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be a text file in UTF-8, got byte {error.object[error.start]:#04x} "
            f"at position {error.start}; is it a recipe?"
        ) from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f":{line[1]}" if line else ""
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise ValueError(
            f"{path.name}{where}: must be valid TOML, got a syntax error: {reason}; "
            'values look like  epochs = 20  and texts like  sampling = "healpix:8"'
        ) from error


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the table with the changes, table by table."""
    merged = dict(table)
    for key, value in changes.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both_tables else value
    return merged


def _nested(dotted_key: str, value: object) -> dict[str, Any]:
    """``a.b = value`` as tables."""
    first, _, rest = dotted_key.partition(".")
    return {first: _nested(rest, value) if rest else value}


def _validate(raw: Mapping[str, Any], file: str) -> Recipe:
    """The recipe, or one line about the first thing that is wrong with it."""
    kind = raw.get("experiment")
    if not isinstance(kind, str) or kind not in RECIPE_TYPES:
        raise ValueError(
            f"{file}: experiment must be one of {', '.join(RECIPE_TYPES)}, got "
            f"{_show(kind) if kind is not None else 'nothing'}; add the line  "
            f'experiment = "{next(iter(RECIPE_TYPES))}"'
        )
    recipe_type = RECIPE_TYPES[kind]
    try:
        return recipe_type.model_validate(dict(raw))
    except ValidationError as error:
        # an unknown key first: a typo is often the reason why another key is missing
        problems = error.errors(include_url=False)
        problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
        message = _message(problems[0], recipe_type)
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ValueError(f"{file}: {message}{others}") from None


def _message(problem: Mapping[str, Any], recipe_type: type[BaseModel]) -> str:
    """One problem of pydantic in house style."""
    location = problem["loc"]
    key = _dotted(location)
    kind, context, received = problem["type"], problem.get("ctx") or {}, problem["input"]
    if kind == "extra_forbidden":
        valid = _valid_keys(recipe_type, location[:-1])
        nearest = _nearest(str(location[-1]), valid, prefix=key.removesuffix(str(location[-1])))
        return f"unknown key {key}{nearest}; valid keys: {', '.join(valid)}"
    if kind == "missing":
        return f"{key} is missing; add it"
    if kind == "value_error":
        reason = str(context.get("error", problem["msg"]))
        return f"{key} {reason}" if key else reason
    return f"{key} must be {_rule(kind, context)}, got {_show(received)}"


def _rule(kind: str, context: Mapping[str, Any]) -> str:
    """What a value has to be, in words."""
    if kind in _RULES:
        return _RULES[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "too_short":
        return f"an array of at least {context['min_length']}"
    if kind == "string_too_short":
        return "a text that is not empty"
    bounds = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "smaller than"}
    for name, words in bounds.items():
        if name in context:
            return f"{words} {context[name]:.10g}"
    return f"valid ({kind})"


def _dotted(location: tuple[str | int, ...]) -> str:
    """``model.channels[1]`` for ``("model", "channels", 1)``."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _valid_keys(recipe_type: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys of the table at a location."""
    section = recipe_type
    for part in location:
        if isinstance(part, str):
            section = _section_type(section.model_fields[part].annotation)
    keys = list(section.model_fields)
    return [*keys, "quick"] if section is recipe_type else keys


def _section_type(annotation: Any) -> type[BaseModel]:
    """The type of section that an annotation speaks of, alone or in a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return _section_type(annotation.__args__[0])


def _nearest(word: str, valid: list[str], *, prefix: str = "") -> str:
    """``, did you mean …?`` where there is something near."""
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    return f", did you mean {prefix}{close[0]}?" if close else ""


def _show(value: object) -> str:
    """A value as a person would recognise it, in one short line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else text[:57] + "..."
