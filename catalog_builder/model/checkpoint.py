"""Files of tensors with a JSON document in their head, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import AdamW

from catalog_builder.errors import ModelError
from catalog_builder.runtime.workdir import write_atomically

_HEAD = "document"
_CHECKSUM = "crc32c"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write tensors and a JSON document to one safetensors file, atomically."""
    write_atomically(path, tensor_bytes(tensors, document))


def tensor_bytes(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """Return the content of the file that `write_tensors` writes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = save(plain, metadata={_HEAD: json.dumps(document, allow_nan=False)})
    return content


def read_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises
    ------
    ModelError
        If the file is absent, damaged, or not from this program.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            document = json.loads((file.metadata() or {})[_HEAD])
            return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read as saved weights ({error}).",
            "Remove the file to train this member again.",
        ) from error


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]
) -> None:
    """Write tensors and a document as `write_tensors` does, with a checksum of all of them."""
    write_tensors(path, tensors, {**document, _CHECKSUM: _checksum(tensors, document)})


def saved_training(path: Path) -> tuple[tuple[dict[str, Tensor], dict[str, Any]] | None, bool]:
    """Return what `write_checkpoint` wrote, and whether it had to be discarded as damaged.

    One wrong bit is enough. Without a checkpoint, or with a damaged one, there is None to go on
    from.
    """
    if not path.exists():
        return None, False
    try:
        tensors, document = read_tensors(path)
    except ModelError:
        return None, _discard(path)
    # Checkpoints of earlier versions have none.
    found = document.pop(_CHECKSUM, None)
    if found is not None and found != _checksum(tensors, document):
        return None, _discard(path)
    return (tensors, document), False


def _discard(path: Path) -> bool:
    path.unlink()
    return True


def _checksum(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> int:
    checksum: int = google_crc32c.value(json.dumps(document, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        array = tensor.detach().cpu().contiguous()
        head = f"{name} {array.dtype} {tuple(array.shape)}".encode()
        content = array.flatten().view(torch.uint8).numpy().tobytes()
        checksum = google_crc32c.extend(google_crc32c.extend(checksum, head), content)
    return checksum


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror}).",
            "Copy the model directory again from where it was made, or train again.",
        ) from error


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
