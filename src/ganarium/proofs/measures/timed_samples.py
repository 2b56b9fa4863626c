"""Measures samples, and the processor time of the training that led to them."""

import time
from dataclasses import dataclass

from ganarium.proofs.experiment import Experiment, Measured
from ganarium.proofs.measures.samples import SampleQuality


@dataclass(frozen=True)
class TimedSampleQuality(SampleQuality):
    """seconds: the processor time of the training, on one thread."""

    def __call__(self, experiment: Experiment) -> Measured:
        train = self.data(experiment)
        start = time.process_time()
        model = self.trained(experiment, train)
        seconds = time.process_time() - start
        return self.read(experiment, model) | {"seconds": seconds}
