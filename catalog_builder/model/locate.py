"""What a path is that should be a model directory."""

from __future__ import annotations

from pathlib import Path

from catalog_builder.ground.errors import ModelError

#: The document of a model directory. Here, and not beside what reads it, which imports torch.
MODEL_JSON = "model.json"


def refuse_no_model(path: Path) -> None:
    """Refuse a path that is no model directory, and say where there is one near by.

    Parameters
    ----------
    path : Path
        What ``--model`` gave.

    Raises
    ------
    ModelError
        If it is not there, a file, or a folder without ``model.json``, such as a workdir.
    """
    if (path / MODEL_JSON).is_file():
        return
    if not path.exists():
        what = "is not there"
    elif not path.is_dir():
        what = "is a file; a model is a folder"
    else:
        what = f"is not a trained model: it holds no {MODEL_JSON}"
    # From a workdir, from its folder of models, or from the file itself.
    near = sorted([*path.glob(f"*/{MODEL_JSON}"), *path.glob(f"models/*/{MODEL_JSON}")])
    near = [file for file in near if any(file.parent.glob("*.safetensors"))]
    near += [path] if path.name == MODEL_JSON and path.is_file() else []
    found = " or ".join(str(file.parent) for file in near[:3])
    raise ModelError(
        f"--model {path} {what}.",
        f"Give --model {found}."
        if found
        else f"Give the folder of a trained model: the one that holds {MODEL_JSON}.",
    )
