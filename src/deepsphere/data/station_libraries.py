"""Libraries that tables of stations need, and how to install them."""

from typing import Any


def require_pandas() -> Any:
    """The package pandas, or how to install it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is missing.

    Examples
    --------
    >>> require_pandas().DataFrame({"tmax": [1.0]}).shape
    (1, 1)
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "tables of stations need pandas, which is not installed; "
            "pip install 'deepsphere-torch[stations]'"
        ) from error
    return pandas


def require_parquet() -> tuple[Any, Any]:
    """The package pyarrow and its part for parquet, or how to install them.

    Returns
    -------
    pyarrow, parquet
        Modules.

    Raises
    ------
    ImportError
        If they are missing.

    Examples
    --------
    >>> require_parquet()[0].__name__
    'pyarrow'
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "parquet files need pyarrow, which is not installed; "
            "pip install 'deepsphere-torch[stations]'"
        ) from error
    return pyarrow, pyarrow.parquet
