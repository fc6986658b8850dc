"""Specifications: printable texts that rebuild a sampling."""

from deepsphere.sampling.protocol import Sampling


def sampling_from_spec(spec: str) -> Sampling:
    """Sampling that a specification describes.

    The inverse of `sampling.spec`: ``kind:option=value,option=value``. Short forms with the main
    option alone are understood: ``healpix:32``, ``fibonacci:1000``, ``equiangular:16x32``,
    ``icosahedral:4``.

    Parameters
    ----------
    spec
        The text.

    Returns
    -------
    The sampling, with the same points bit for bit.

    Raises
    ------
    TypeError
        If it is not a text.
    ValueError
        If the kind or an option is unknown, or a value is not valid.

    Examples
    --------
    >>> sampling_from_spec("healpix:nside=32,ordering=ring")
    Healpix(nside=32, ordering='ring')
    >>> sampling_from_spec("equiangular:16x32").spec
    'equiangular:nlat=16,nlon=32,poles=0'
    """
    from deepsphere.sampling import SAMPLINGS

    if not isinstance(spec, str):
        raise TypeError(
            f"a specification must be a text like healpix:nside=32, got {type(spec).__name__}"
        )
    kind, colon, text = spec.strip().partition(":")
    kind = kind.strip().lower().replace("-", "_")
    if kind not in SAMPLINGS:
        raise ValueError(
            f"the kind of a sampling must be one of {', '.join(sorted(SAMPLINGS))}, got {kind!r}; "
            "a specification reads like healpix:nside=32"
        )
    if not colon or not text.strip():
        raise ValueError(f"a specification must give a size, got {spec!r}; write {kind}:...")
    sampling, parts = SAMPLINGS[kind], _split(text)
    if sampling.has_short_form and len(parts) == 1 and "=" not in text:
        return sampling._from_short(text.strip())
    options = _read_options(parts, spec)
    known, required = sampling._option_names()
    unknown = [name for name in options if name not in known]
    missing = [name for name in required if name not in options]
    if unknown or missing:
        problem = f"got {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
        raise ValueError(f"the options of {kind} are {', '.join(known)}, but {problem}")
    return sampling._from_options(options)


def _read_options(parts: list[str], spec: str) -> dict[str, str]:
    """Options of the parts name=value of a specification."""
    options: dict[str, str] = {}
    for part in parts:
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not name or not value or name in options:
            raise ValueError(
                f"each option must be given once as name=value, got {part!r} in {spec[:200]!r}; "
                "a specification reads like healpix:nside=32,ordering=ring"
            )
        options[name] = value
    return options


def _split(text: str) -> list[str]:
    """Parts of a text between the commas that are not within parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
