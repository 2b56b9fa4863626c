"""What every measure of a model has in common."""

from typing import Any

from ganarium import streams
from ganarium.metrics.protocol import Protocol


class Measure:
    """Measures a model against its data, always on the same images and with the same noise.

    So its numbers change with the weights alone.
    """

    protocol: Protocol
    count: int  # samples, or held-out images
    portion = streams.CHUNK  # samples that are enough to tell how long all of them take

    @property
    def metric(self) -> str:
        """The metric of `quick` by which steps are compared."""
        raise NotImplementedError

    def read(self, count: int) -> Any:
        """Reads the first `count` samples, as tensors on the CPU: the part of a count that takes long."""
        raise NotImplementedError

    def quick(self) -> dict[str, float]:
        """A few metrics by name."""
        raise NotImplementedError

    def full(self) -> dict[str, float]:
        """All the metrics by name."""
        raise NotImplementedError
