"""Checkpoints rebuild their model alone, and say what is wrong with them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from deepsphere.models import FCN
from deepsphere.training import (
    Metadata,
    SphereModule,
    load,
    predict,
    read_metadata,
    read_spec,
    save,
)
from deepsphere.training.checkpoint import as_plain


@pytest.fixture
def path(model: FCN, tmp_path: Path) -> Path:
    """A sound checkpoint."""
    save(tmp_path / "model.ckpt", model, metadata=Metadata(class_names=("a", "b", "c")))
    return tmp_path / "model.ckpt"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Write the checkpoint back after a change."""
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)
    return path


def test_loaded_model_predicts_as_the_saved_one(path: Path, model: FCN) -> None:
    signals = torch.rand(5, 48, 1)
    loaded = load(path)
    assert not loaded.training
    assert loaded.spec == model.spec
    with torch.no_grad():
        assert torch.equal(loaded(signals), model.eval()(signals))


def test_metadata_and_spec_are_read_back(path: Path, model: FCN) -> None:
    metadata = read_metadata(path)
    assert metadata.class_names == ("a", "b", "c")
    assert metadata.ordering == "nested"  # found out from the sampling of the model
    assert metadata.format == 1
    assert read_spec(path) == model.spec


def test_saving_a_module_takes_its_metadata(
    make_module: Callable[[], SphereModule], tmp_path: Path
) -> None:
    module = make_module()
    save(tmp_path / "a.ckpt", module)
    metadata = read_metadata(tmp_path / "a.ckpt")
    assert metadata.class_names == ("dark", "half", "bright")
    assert metadata.task == module.task.spec
    loaded = load(tmp_path / "a.ckpt")
    assert loaded.state_dict().keys() == module.model.state_dict().keys()


def test_checkpoint_is_plain_and_needs_no_lightning(path: Path) -> None:
    """In a process where importing Lightning fails."""
    code = (
        "import sys; sys.modules['lightning'] = sys.modules['torchmetrics'] = None; "
        "sys.modules['rich'] = sys.modules['sklearn'] = None; "
        "from deepsphere.training import load, predict; import numpy as np; "
        f"print(predict(load({str(path)!r}), np.ones((2, 48, 1))).shape)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(2, 3)"


def test_training_without_lightning_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['lightning'] = None; import deepsphere.training as training\n"
        "try: training.fit\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("deepsphere.training.fit needs lightning, which is not installed")
    assert "deepsphere-torch[train]" in run.stdout


def test_unknown_name_in_training_is_an_attribute_error() -> None:
    import deepsphere.training

    with pytest.raises(AttributeError, match="no attribute 'train_faster'"):
        deepsphere.training.train_faster  # noqa: B018


def test_existing_checkpoint_is_not_replaced(path: Path, model: FCN) -> None:
    with pytest.raises(FileExistsError, match="must not exist yet"):
        save(path, model)
    save(path, model, overwrite=True)
    assert read_metadata(path).class_names is None


def test_missing_checkpoint_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"checkpoint, got .*none\.ckpt"):
        load(tmp_path / "none.ckpt")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.98])
def test_truncated_checkpoint_is_rejected(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"model\.ckpt must be a (complete )?checkpoint") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_file_that_is_no_checkpoint_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_text("nothing of the sort")
    with pytest.raises(ValueError, match=r"a\.ckpt must be a") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_file_with_code_in_it_is_rejected(tmp_path: Path) -> None:
    torch.save({"deepsphere": Path("/"), "state_dict": {}}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="not loaded for your safety"):
        load(tmp_path / "a.ckpt")


def test_checkpoint_of_another_code_is_rejected(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="without the entry 'deepsphere'"):
        load(tmp_path / "a.ckpt")


def test_checkpoint_of_another_format_is_rejected(path: Path) -> None:
    change(path, lambda content: content["deepsphere"].update(format=7))
    for read in (load, read_metadata, read_spec):
        with pytest.raises(ValueError, match=r"of format 1, which .* reads, got format 7; upgrade"):
            read(path)


def test_spec_that_cannot_be_rebuilt_is_rejected(path: Path) -> None:
    change(path, lambda content: content["deepsphere"]["model"].update(model="perceptron"))
    with pytest.raises(ValueError, match=r"can be rebuilt, got an error: model must be one of"):
        load(path)


def test_checkpoint_without_its_model_is_rejected(path: Path) -> None:
    change(path, lambda content: content["deepsphere"].pop("model"))
    with pytest.raises(ValueError, match="be rebuilt, got an error: the entry 'model' is missing"):
        load(path)


def test_changed_bit_is_found(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    weight = max(content["state_dict"].values(), key=torch.numel).numpy().tobytes()
    data = path.read_bytes()
    assert data.count(weight) == 1
    index = data.index(weight)
    path.write_bytes(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
    with pytest.raises(ValueError, match=r"got a wrong checksum of its part .*; copy it again"):
        load(path)


def test_weights_that_do_not_fit_are_rejected(path: Path, tmp_path: Path) -> None:
    def rename(content: dict[str, Any]) -> None:
        weights = content["state_dict"]
        weights["model.other"] = weights.pop(next(iter(weights)))

    change(path, rename)
    with pytest.raises(ValueError, match=r"got 1 missing \(.*\) and 1 unexpected \(other\)"):
        load(path)


def test_weights_of_another_shape_are_rejected(path: Path) -> None:
    def grow(content: dict[str, Any]) -> None:
        name = next(iter(content["state_dict"]))
        content["state_dict"][name] = torch.zeros(2, 3, 4, 5)

    change(path, grow)
    with pytest.raises(ValueError, match=r"of shape \(2, 3, 4, 5\) in place of"):
        load(path)


def test_model_without_spec_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="model must have a spec that rebuilds it, got Linear"):
        save(tmp_path / "a.ckpt", torch.nn.Linear(1, 1))
    assert not list(tmp_path.iterdir())


def test_metadata_that_are_not_plain_cannot_be_saved(model: FCN, tmp_path: Path) -> None:
    metadata = Metadata(normalization={"mean": torch.zeros(1)})
    with pytest.raises(TypeError, match=r"metadata\.normalization\.mean must be made of .*Tensor"):
        save(tmp_path / "a.ckpt", model, metadata=metadata)


def test_plain_values_have_exactly_plain_types() -> None:
    import numpy as np

    plain = as_plain({"a": (np.float64(1.5), True, None), "b": np.str_("x"), "c": 3}, name="v")
    assert plain == {"a": [1.5, True, None], "b": "x", "c": 3}
    assert [type(value) for value in (*plain["a"][:2], plain["b"], plain["c"])] == [
        float,
        bool,
        str,
        int,
    ]


def test_predictions_of_a_loaded_model_are_arrays(path: Path) -> None:
    import numpy as np

    outputs = predict(load(path), np.random.default_rng(0).random((3, 48, 1)), batch_size=2)
    assert outputs.shape == (3, 3)
    assert outputs.dtype == np.float32
