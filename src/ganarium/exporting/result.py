"""What an export leaves: the file, and how far it is from PyTorch."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganarium.runtime.files import atomic_write


def largest(differences: Iterable[float]) -> float:
    """The largest of some differences; NaN if any of them is, which `max` would hide."""
    found = list(differences)
    return math.nan if any(map(math.isnan, found)) else max(found)


@dataclass(frozen=True)
class Exported:
    """An exported file or folder, and the largest difference between what it makes and what PyTorch makes of the same
    inputs, in the unit of the output: pixels in [-1, 1], coordinates of points, probabilities. `protocol` says in
    words how it was measured."""

    path: Path
    difference: float
    tolerance: float
    protocol: str

    @property
    def size(self) -> int:
        """Bytes of the file, or of all files of the folder."""
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def write_beside(self, facts: dict[str, Any]) -> Path:
        """Writes the difference, with `facts` of the network, to PATH.json."""
        target = self.path.with_name(f"{self.path.name}.json")
        content = {
            **facts,
            "largest_difference": self.difference,
            "tolerance": self.tolerance,
            "protocol": self.protocol,
            "bytes": self.size,
        }
        with atomic_write(target) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")
        return target
