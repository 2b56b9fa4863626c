"""Records how a number was measured. Two numbers can be compared only if this is the same for both."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from ganarium.errors import UserError
from ganarium.version import __version__


@dataclass(frozen=True)
class Protocol:
    """All that a number depends on beside the model. Equal protocols (`==`) mean comparable numbers.

    `dataclasses.asdict` makes it JSON and `Protocol(**read)` reads it back.
    """

    features: str
    """The network whose features or logits are measured: a judge's name, `inception`; `pixels` or `points` for none."""
    digest: str
    """Of that network's weights; empty where there are none."""
    num_real: int
    """Real images or points; 0 where the metric needs none."""
    num_fake: int
    """Generated ones."""
    resize: str
    """How images were brought to the network's input, in words: its `rule`."""
    seed: int
    """Of the draws, real and generated."""
    version: str = __version__
    """Of ganarium."""
    reference: str = ""
    """Digest of the set that the real images or points are drawn from; empty in files of earlier versions."""
    held_out: str = ""
    """Digest of the held-out images beside which copies are counted, or which are mapped, read or classified; empty
    where there are none, and in files of earlier versions."""

    def __str__(self) -> str:
        network = f"{self.features} {self.digest[:8]}".rstrip()
        resized = f" ({self.resize})" if self.resize else ""
        of = f" of {self.reference[:8]}" if self.reference else ""
        counts = f"{self.num_real} real{of}, {self.num_fake} generated"
        counts += f", held out {self.held_out[:8]}" if self.held_out else ""
        return f"{network}{resized}, {counts}, seed {self.seed}, ganarium {self.version}"


def one_protocol(protocols: Mapping[str, Protocol]) -> Protocol:
    """The protocol that all rows of a table share, given by the rows' names.

    Raises `UserError` when two differ, with the rows and what is different: such numbers are not put in one table.
    """
    if not protocols:
        raise UserError("there is no number to put in a table: give at least one run that was evaluated.")
    (first, common), *rest = protocols.items()
    for row, protocol in rest:
        if protocol != common:
            names = [field.name for field in fields(Protocol)]
            pairs = [(name, getattr(common, name), getattr(protocol, name)) for name in names]
            different = ", ".join(f"{name} {own!r} and {other!r}" for name, own, other in pairs if own != other)
            raise UserError(
                f"the numbers of {first} and {row} cannot be compared, their protocols differ ({different}): "
                "evaluate both in the same way."
            )
    return common
