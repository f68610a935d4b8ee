"""Files of tensors with a JSON document in their head, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import AdamW

from catalog_builder.ground.documents import DocumentError, parse_json
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.files import COPY_AGAIN, read_whole
from catalog_builder.model.settings import MOST_WEIGHTS
from catalog_builder.runtime.workdir import write_atomically

#: Names and shapes of some hundred tensors take 10 kB.
HEAD_BYTES: Final = 1 << 20
_HEAD = "document"
#: A checkpoint's holds the history of all epochs, about 500 bytes each.
_CHECKPOINT_HEAD = 16 << 20
_SUM = "sha256"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write tensors and a JSON document to one safetensors file, atomically."""
    write_atomically(path, tensor_bytes(tensors, document))


def tensor_bytes(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """Return the content of the file that `write_tensors` writes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = save(plain, metadata={_HEAD: json.dumps(document, allow_nan=False)})
    return content


def read_tensors(
    path: Path, limit: int = 4 * MOST_WEIGHTS, *, head: int = HEAD_BYTES, sha256: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Bytes that its tensors may have.
    head : int
        Bytes that its names, shapes and document may have.
    sha256 : str, optional
        Digest that the file must have.

    Raises
    ------
    ModelError
        If the file is absent, too large, damaged, or not from this program.
    """
    content = read_whole(path, limit + head + 8)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(
            f"{path} is not the file that model.json describes: its digest differs.", COPY_AGAIN
        )
    try:
        return _parsed(content, head)
    # KeyError: no document, or a type of numbers that torch does not have.
    except (SafetensorError, DocumentError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read as saved weights ({error}).",
            "Remove the file to train this member again.",
        ) from error


def _parsed(content: bytes, head: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    length = int.from_bytes(content[:8], "little")
    if length > head:
        raise DocumentError(f"its head would have {length} bytes, more than {head}")
    tensors = load(content)
    document = parse_json(parse_json(content[8 : 8 + length])["__metadata__"][_HEAD])
    if not isinstance(document, dict):
        raise DocumentError("its document is none")
    return tensors, document


def check_tensors(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Compare tensors from a file with those that ought to be there, by shape and type alone.

    Parameters
    ----------
    path : Path
        The file, for the message.
    tensors : mapping of str to Tensor
        What it holds.
    expected : mapping of str to Tensor
        As it should be; on the device ``meta`` they take no memory.

    Raises
    ------
    ModelError
        If one is missing, one too many, another than expected, or holds a number that is not
        finite.
    """
    # What is missing first: sizes of others may follow from it.
    for name in sorted({*tensors, *expected}, key=lambda name: (name in tensors, name)):
        found, wanted = tensors.get(name), expected.get(name)
        if found is None or wanted is None:
            problem = f"{name} is {'missing' if found is None else 'one too many'}"
        elif (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            problem = f"{name} is {_described(found)}, not {_described(wanted)}"
        elif not bool(torch.isfinite(found).all()):
            problem = f"{name} holds a number that is not finite"
        else:
            continue
        raise ModelError(
            f"The arrays in {path} do not fit the network of model.json: {problem}.",
            "Train the model again with this version of the program.",
        )


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


class Progress(BaseModel):
    """How far training is; with the tensors of a checkpoint, all there is to go on from."""

    model_config = ConfigDict(extra="forbid")

    epoch: int = Field(0, ge=0)
    best_epoch: int = Field(0, ge=0)
    best_loss: float | None = None
    history: list[dict[str, Any]] = []


class Checkpoint(BaseModel):
    """What training goes on from, and which training (`identity`)."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    tensors: dict[str, Tensor]
    identity: dict[str, Any]
    progress: Progress

    def require(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Compare the training with the one that is to go on.

        Raises
        ------
        ModelError
            If it is another one.
        """
        differing = [name for name, value in identity.items() if self.identity.get(name) != value]
        if differing:
            raise ModelError(
                f"{path} belongs to another training: {', '.join(differing)} differ.",
                "Remove the folder, or train in another workdir.",
            )


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write what training goes on from, with a digest of it all."""
    document = checkpoint.model_dump(exclude={"tensors"})
    sealed = {**document, _SUM: _digest(checkpoint.tensors, document)}
    write_tensors(path, checkpoint.tensors, sealed)


def read_checkpoint(path: Path, network: nn.Module, optimiser: AdamW) -> Checkpoint | None:
    """Return what `write_checkpoint` wrote; None if it is damaged, in one bit or altogether.

    Version 0.1.0 wrote no digest: its tensors need only be finite and fit the network, so that
    hours of training go on.
    """
    # Weights, their average, the best of it, and two moments of the optimiser.
    most = 4 * 6 * sum(values.numel() for values in network.state_dict().values())
    try:
        tensors, document = read_tensors(path, most, head=_CHECKPOINT_HEAD)
        given = document.pop(_SUM, None)
        if given is None:
            check_tensors(path, tensors, _expected(network, optimiser))
        elif given != _digest(tensors, document):
            return None
        return Checkpoint(tensors=tensors, **document)
    except (ModelError, ValidationError, TypeError):
        return None


def _expected(network: nn.Module, optimiser: AdamW) -> dict[str, Tensor]:
    """Return tensors like those of a checkpoint, by shape and type."""
    weights = network.state_dict()
    copies = ("weights", "average", "best")
    expected = {f"{copy}/{name}": tensor for copy in copies for name, tensor in weights.items()}
    parameters = [each for some in optimiser.param_groups for each in some["params"]]
    for number, parameter in enumerate(parameters):
        moments = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        expected |= {f"optimiser/{number}/{name}": moment for name, moment in moments.items()}
    return expected


def _digest(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON document per line, atomically."""
    lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    write_atomically(path, lines.encode())


def pack(
    network: nn.Module, optimiser: AdamW, more: Mapping[str, Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Return everything that training goes on from as one flat mapping of tensors."""
    tensors = {f"weights/{name}": tensor for name, tensor in network.state_dict().items()}
    for group, members in more.items():
        tensors |= {f"{group}/{name}": tensor for name, tensor in members.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": torch.as_tensor(v) for name, v in state.items()}
    return tensors


def unpack(tensors: Mapping[str, Tensor], network: nn.Module, optimiser: AdamW) -> None:
    """Put the weights and the optimiser's moments of `pack` back."""
    network.load_state_dict(group(tensors, "weights"))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in group(tensors, "optimiser").items():
        number, key = name.split("/")
        moments.setdefault(int(number), {})[key] = tensor
    state = optimiser.state_dict()
    optimiser.load_state_dict({"state": moments, "param_groups": state["param_groups"]})


def group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors below a prefix, by their names there."""
    start = f"{prefix}/"
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
