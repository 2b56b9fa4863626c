"""Measures whether BEGAN's control variable balances the two losses, while its measure of convergence falls."""

from statistics import mean

from ganarium.proofs.experiment import Experiment, Measured
from ganarium.proofs.measures.samples import SampleQuality


class BalanceOfLosses(SampleQuality):
    """off_gamma: |ratio / gamma - 1|, where ratio is the mean of L(G(z)) divided by that of L(x), over the last half of
    the steps, which holds several swings of k; m_left: the mean of M in that half, divided by its mean in the first 50
    steps; k: at the end."""

    def __call__(self, experiment: Experiment) -> Measured:
        rows: list[dict[str, float]] = []
        for trained, terms in self.training(experiment, experiment.train):
            rows += terms
            model = trained
        last, first = rows[len(rows) // 2 :], rows[:50]
        ratio = mean(row["G/reconstruction"] for row in last) / mean(row["D/real"] for row in last)
        own = {
            "off_gamma": abs(ratio / model.config.gamma - 1),
            "m_left": mean(row["G/convergence"] for row in last) / mean(row["G/convergence"] for row in first),
            "ratio": ratio,
            "k": model.k.item(),
        }
        values, images = self.read(experiment, model)
        return Measured(own | values, images)
