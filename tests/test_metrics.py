"""The metrics: self-tests and closed forms of each, agreement with torchmetrics, and known mistakes that must show."""

import math
import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

import ganarium
from ganarium import metrics
from ganarium.data.sources.points import MODE_STD, mode_centres
from ganarium.errors import UserError
from ganarium.metrics import distances, kernel, neighbours, scores
from ganarium.metrics.pixels import luma


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blobs(n, seed, d=8, classes=10):
    """Ten clusters, as features of a data set are."""
    centres = 3 * normal(classes, d, seed=1000)
    label = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))
    return centres[label] + normal(n, d, seed=seed + 1)


def logits(n, classes=10, seed=0):
    return 3 * normal(n, classes, seed=seed)


class Same(torch.nn.Module):
    """Hands features to torchmetrics as they are."""

    def __init__(self, width):
        super().__init__()
        self.num_features = width

    def forward(self, x):
        return x


def theirs(module, name, **options):
    """A metric of torchmetrics, imported here for it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = import_module(f"torchmetrics.image.{module}")  # what `torchmetrics.image` leaves out without weights
        made = getattr(module, name)(**options)
    return made.set_dtype(torch.float64)


N = 2000
REAL, OTHER = blobs(N, 0), blobs(N, 10)
NOISE = 6 * (torch.rand(N, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64) - 0.5)
REPEATED = OTHER[:1].repeat(N, 1)


# --- the package


def test_the_functions_are_public_without_loading_torch():
    code = (
        "import sys, ganarium\n"
        "assert 'frechet_distance' in dir(ganarium.metrics) and 'metrics' in dir(ganarium)\n"
        "heavy = {'torch', 'numpy', 'scipy', 'torchmetrics'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "ganarium.metrics.frechet_distance\n"
        "assert 'torch' in sys.modules and 'torchmetrics' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    for module in (ganarium, ganarium.metrics):
        with pytest.raises(AttributeError, match="no attribute 'frechet_distances'"):
            _ = module.frechet_distances


@pytest.mark.parametrize("name", metrics.__all__)
def test_every_public_function_says_what_it_raises(name):
    text = getattr(metrics, name).__doc__ or ""
    assert "UserError" in text or name == "Moments"


# --- bad input: one sentence each

GOOD = normal(40, 3)
BAD = {
    "NaN in b": GOOD.clone().index_fill_(0, torch.tensor([7]), math.nan),
    "another d": normal(40, 4),
    "images": normal(40, 3, 4, 4),
    "nothing": normal(0, 3),
    "complex": torch.complex(GOOD, GOOD),
    "text": "features.pt",
    "None": None,
    "rows of unequal length": [[1.0, 2.0, 3.0], [4.0]],
}
PAIRED = {
    "frechet_distance": {},
    "kernel_distance": {"subset_size": 20},
    "maximum_mean_discrepancy": {},
    "wasserstein_distance": {},
    "nearest_neighbour_test": {},
    "precision_recall": {},
    "density_coverage": {},
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", PAIRED)
def test_bad_features_are_one_sentence_whichever_side_they_are_on(name, kind):
    measure = getattr(metrics, name)
    measure(GOOD, GOOD, **PAIRED[name])
    for pair in ((GOOD, BAD[kind]), (BAD[kind], GOOD)):
        with pytest.raises(UserError) as caught:
            measure(*pair, **PAIRED[name])
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)


def test_lists_arrays_and_whole_numbers_are_taken_as_tensors():
    whole = (10 * GOOD).round().abs().to(torch.uint8)
    for values in (whole, whole.tolist(), whole.numpy(), whole.half()):
        assert metrics.frechet_distance(values, GOOD) == metrics.frechet_distance(whole.double(), GOOD)
    maps = normal(2, 3, 4, 4)
    expected = metrics.feature_map_distance([maps], [-maps], [torch.ones(3)])
    assert metrics.feature_map_distance([maps.tolist()], [(-maps).numpy()], [[1, 1, 1]]).tolist() == pytest.approx(
        expected.tolist()
    )
    samples = normal(1, 4, 3, 8, 8)
    diversity = metrics.feature_diversity(samples.tolist(), lambda x: [x])
    assert diversity == pytest.approx(metrics.feature_diversity(samples, lambda x: [x]))


@pytest.mark.parametrize(
    ("says", "call"),
    [
        ("needs more samples than features", lambda: metrics.frechet_distance(normal(8, 8), normal(9, 8))),
        ("needs more samples than features", lambda: metrics.frechet_distance(metrics.Moments(), normal(9, 8))),
        ("a subset of 1000", lambda: metrics.kernel_distance(normal(999, 2), normal(1000, 2))),
        ("subset_size >= 2", lambda: metrics.kernel_distance(GOOD, GOOD, subset_size=1)),
        ("equally many", lambda: metrics.wasserstein_distance(GOOD, GOOD[1:])),
        ("at most 5000", lambda: metrics.wasserstein_distance(normal(5001, 1), normal(5001, 1))),
        ("equally many", lambda: metrics.nearest_neighbour_test(GOOD, GOOD[1:])),
        ("at least 4", lambda: metrics.precision_recall(GOOD[:3], GOOD)),
        ("at least 6", lambda: metrics.density_coverage(GOOD, GOOD[:5])),
        ("from 1", lambda: metrics.precision_recall(GOOD, GOOD, k=0)),
        ("all real samples are the same", lambda: metrics.maximum_mean_discrepancy(GOOD[:1].repeat(9, 1), GOOD)),
        ("sigma", lambda: metrics.maximum_mean_discrepancy(GOOD, GOOD, sigma=0)),
        ("'biased'", lambda: metrics.maximum_mean_discrepancy(GOOD, GOOD, estimator="mean")),
        ("softmax", lambda: metrics.inception_score(logits(50))),
        ("softmax", lambda: metrics.mode_score(logits(50).softmax(1), logits(50))),
        ("at least 10", lambda: metrics.inception_score(logits(9).softmax(1))),
        ("splits", lambda: metrics.inception_score(logits(9).softmax(1), 0)),
        ("classes", lambda: metrics.mode_score(logits(50).softmax(1), logits(50, 9).softmax(1))),
        ("above 0", lambda: metrics.mode_coverage(GOOD, GOOD[:2], 0.0)),
        ("each of the 2 centres", lambda: metrics.mode_coverage(GOOD, GOOD[:2], torch.ones(3))),
        ("from 0 to 9", lambda: metrics.stacked_mode_coverage(torch.tensor([[1, 2, 10]]))),
        ("whole numbers", lambda: metrics.stacked_mode_coverage(torch.tensor([[1.0, 2, 3]]))),
        ("whole numbers", lambda: metrics.accuracy(torch.tensor([1.0]), torch.tensor([1]))),
        ("one label for each", lambda: metrics.label_fidelity(torch.tensor([1, 2]), torch.tensor([1]))),
        ("two classes", lambda: metrics.accuracy(torch.zeros(3, 1), torch.zeros(3).long())),
        ("NaN or infinite", lambda: metrics.accuracy(torch.full((3, 2), math.nan), torch.zeros(3).long())),
        ("pairs", lambda: metrics.adjusted_rand_index(torch.tensor([1]), torch.tensor([1]))),
        ("multiple of the scale", lambda: metrics.psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))),
        ("data_range", lambda: metrics.psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 200.0))),
        ("nothing of 8x8", lambda: metrics.psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), border=4)),
        ("channels", lambda: metrics.psnr(torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8))),
        ("11x11", lambda: metrics.ssim(torch.zeros(1, 3, 18, 18), torch.zeros(1, 3, 18, 18), border=4)),
        ("feature_diversity", lambda: metrics.lpips_diversity(torch.zeros(1, 2, 3, 8, 8), lambda x: [x], ())),
        ("at least two samples", lambda: metrics.feature_diversity(torch.zeros(2, 1, 3, 8, 8), lambda x: [x])),
        ("NaN or infinite", lambda: metrics.mode_coverage(GOOD, GOOD[:2], math.inf)),
        ("whole numbers", lambda: metrics.stacked_mode_coverage(torch.zeros(4, 3, dtype=torch.complex64))),
        (
            "weights of layer 0 are NaN",
            lambda: metrics.feature_map_distance([normal(2, 3, 4, 4)], [normal(2, 3, 4, 4)], [[math.nan] * 3]),
        ),
        ("layer 0 of b must be a tensor", lambda: metrics.feature_map_distance([normal(2, 3, 4, 4)], [None])),
        ("samples must be a tensor", lambda: metrics.feature_diversity("faces", lambda x: [x])),
        ("sum over pixels", lambda: metrics.nll(torch.zeros(4, 1), (1, 2, 2))),
    ],
)
def test_what_cannot_be_measured_says_so(says, call):
    with pytest.raises(UserError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


# --- distances


def awkward():
    """Points with copies, near copies and a common offset that eats digits."""
    points = normal(400, 12) + 1e4
    crowd = points[1] + 1e-8 * normal(40, 12, seed=1)  # nearer to each other than the product's error
    return torch.cat([points, points[:60], points[:60] + 1e-7, points[:1].repeat(80, 1), crowd]), points[:150]


def test_distances_are_those_of_the_differences(monkeypatch):
    points, queries = awkward()
    table = distances.direct_distances(queries, points)
    own = distances.direct_distances(points, points)
    radius = own.clone().fill_diagonal_(torch.inf).kthvalue(3).values
    for block in (distances.BLOCK, 3000):  # the second: a few rows at a time
        monkeypatch.setattr(distances, "BLOCK", block)
        for k in (1, 3, 10):
            assert distances.kth_distance(queries, points, k).equal(table.kthvalue(k).values)
            expected = own.clone().fill_diagonal_(torch.inf).kthvalue(k).values
            assert distances.kth_distance(points, points, k, same=True).equal(expected)
        for closed in (True, False):
            balls, held = distances.ball_counts(points, points, radius, closed=closed)
            inside = own <= radius if closed else own < radius
            assert balls.equal(inside.sum(1))
            assert held.equal(inside.sum(0))


def test_the_matrix_product_alone_gets_them_wrong():
    """The control: without the second look, near copies have the wrong neighbours, and copies are apart."""
    points, _ = awkward()
    own = distances.direct_distances(points, points).fill_diagonal_(torch.inf)
    product = torch.cdist(points, points, compute_mode="use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    assert (product.amin(1) - own.amin(1)).abs().max() > 1e-5


def test_fence_post_the_kth_neighbour_is_not_the_sample_itself():
    line = torch.arange(10.0, dtype=torch.float64)[:, None]
    assert distances.kth_distance(line, line, 3, same=True)[0] == 3
    assert distances.kth_distance(line, line, 3)[0] == 2  # the mistake
    # a fake 2.5 outside the end of the line is inside the ball of width 3 around it
    fake = torch.tensor([[-2.5]] * 4)
    assert metrics.precision_recall(line, fake).precision == 1
    assert metrics.precision_recall(line, fake, k=2).precision == 0


# --- Frechet distance


def with_moments(n, mean, root, seed):
    """Samples whose own mean and covariance are exactly `mean` and root root^T."""
    z = normal(n, len(mean), seed=seed)
    z = z - z.mean(0)
    factor = torch.linalg.cholesky(z.T @ z / (n - 1))
    return torch.linalg.solve_triangular(factor, z.T, upper=False).T @ root.T + mean


def test_frechet_distance_of_gaussians_is_the_closed_form():
    mean, root_a, root_b = torch.tensor([3.0, -1.0]).double(), normal(2, 2, seed=1), normal(2, 2, seed=2)
    a, b = with_moments(500, 0 * mean, root_a, 3), with_moments(700, mean, root_b, 4)
    one, two = root_a @ root_a.T, root_b @ root_b.T
    # of a 2x2 matrix, Tr sqrt(M) = sqrt(Tr M + 2 sqrt(det M))
    together = ((one @ two).trace() + 2 * (one @ two).det().sqrt()).sqrt()
    expected = float(mean.square().sum() + one.trace() + two.trace() - 2 * together)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)

    wide = torch.linspace(0.5, 3, 64).double()  # covariances that commute: sum of (s_a - s_b)^2
    a, b = with_moments(1000, wide, wide.diag(), 5), with_moments(1000, 0 * wide, wide.flip(0).diag(), 6)
    expected = float(wide.square().sum() + (wide - wide.flip(0)).square().sum())
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)

    a, b = 2 * normal(200_000, 4, seed=7) + 5, normal(200_000, 4, seed=8)  # as drawn: 4 (25 + 1)
    assert metrics.frechet_distance(a, b) == pytest.approx(104, rel=5e-3)


def test_frechet_distance_agrees_with_torchmetrics():
    a, b = normal(600, 24, seed=1) @ normal(24, 24, seed=2), normal(500, 24, seed=3) + 0.3
    other = theirs("fid", "FrechetInceptionDistance", feature=Same(24))
    other.update(a, real=True)
    other.update(b, real=False)
    assert metrics.frechet_distance(a, b) == pytest.approx(float(other.compute()), rel=1e-6)


def test_square_root_of_fid():
    """Twice the features: four times the distance. Its square root, which one release gives, only doubles."""
    value = metrics.frechet_distance(REAL, NOISE)
    assert metrics.frechet_distance(2 * REAL, 2 * NOISE) == pytest.approx(4 * value, rel=1e-9)
    assert math.sqrt(4 * value) != pytest.approx(4 * math.sqrt(value), rel=0.1)


def test_frechet_distance_with_features_that_never_move():
    dead = torch.cat([REAL, torch.zeros(N, 500), REAL[:, :1] * torch.ones(1, 100)], dim=1)
    assert metrics.frechet_distance(dead, dead) < 1e-9
    moved = metrics.frechet_distance(REAL, NOISE)
    still = torch.zeros(N, 50).double()
    assert metrics.frechet_distance(torch.cat([REAL, still], 1), torch.cat([NOISE, still], 1)) == pytest.approx(moved)
    assert metrics.frechet_distance(REAL, REPEATED) > 10


def test_moments_in_batches_are_those_of_the_whole():
    x = normal(5000, 6) @ normal(6, 6, seed=1) + 1e5  # far off, where sums of squares lose their digits
    whole = metrics.Moments().update(x)
    parts, rest = metrics.Moments(), metrics.Moments()
    for part in x[:3000].split(701):
        parts.update(part)
    rest.update(x[3000:3001]).update(x[3001:])
    parts.merge(rest).merge(metrics.Moments())
    for moments in (whole, parts):
        assert moments.count == 5000
        assert torch.allclose(moments.mean, x.mean(0), rtol=1e-13)
        assert torch.allclose(moments.covariance, x.T.cov(), rtol=1e-8, atol=1e-8)
    naive = (x.float().T @ x.float() - 5000 * torch.outer(x.float().mean(0), x.float().mean(0))) / 4999
    assert not torch.allclose(naive.double(), x.T.cov(), rtol=0.1)  # the control
    kept = metrics.Moments(parts.count, parts.mean, parts.scatter)
    y = normal(100, 6)
    assert metrics.frechet_distance(kept, y) == metrics.frechet_distance(parts, metrics.Moments().update(y))
    with pytest.raises(UserError, match="one feature network"):
        parts.update(normal(5, 7))


# --- KID and MMD


def test_kernel_distance_agrees_with_torchmetrics():
    a, b = blobs(700, 1), blobs(600, 2) * 1.1
    other = theirs("kid", "KernelInceptionDistance", feature=Same(8), subsets=7, subset_size=500)
    other.update(a, real=True)
    other.update(b, real=False)
    torch.manual_seed(3)
    mean, std = (float(value) for value in other.compute())
    ours = metrics.kernel_distance(a, b, subsets=7, subset_size=500, seed=3)
    assert ours.mean == pytest.approx(mean, rel=1e-9)
    assert ours.std == pytest.approx(std, rel=1e-9)
    assert metrics.kernel_distance(a, b, subsets=7, subset_size=500, seed=4) != ours


def test_biased_kid():
    """Of reals against other reals the mean is 0 within its error; the form that keeps the diagonal is not."""

    def biased(x, y):
        def k(one, two):
            return (one @ two.T / one.shape[1] + 1).pow(3).mean()

        return float(k(x, x) + k(y, y) - 2 * k(x, y))

    pairs = [(blobs(100, 100 + 2 * seed), blobs(100, 500 + 2 * seed)) for seed in range(60)]
    unbiased = torch.tensor([float(kernel._cubic(x, y)) for x, y in pairs])
    error = float(unbiased.std() / math.sqrt(len(pairs)))
    assert abs(float(unbiased.mean())) < 3 * error
    assert unbiased.min() < 0
    mistaken = torch.tensor([biased(x, y) for x, y in pairs])
    assert abs(float(mistaken.mean())) > 6 * error


def test_maximum_mean_discrepancy_is_the_sum_over_pairs(monkeypatch):
    x, y = normal(30, 3), normal(20, 3, seed=1) + 0.5

    def k(a, b, scale):
        return math.exp(-float((a - b).square().sum()) / scale)

    def mean(one, two, scale, *, drop=False):
        values = [k(a, b, scale) for i, a in enumerate(one) for j, b in enumerate(two) if not (drop and i == j)]
        return sum(values) / len(values)

    unbiased = mean(x, x, 2, drop=True) + mean(y, y, 2, drop=True) - 2 * mean(x, y, 2)
    biased = mean(x, x, 2) + mean(y, y, 2) - 2 * mean(x, y, 2)
    spread = sum(float((a - b).square().sum()) for a in x for b in x) / 30**2
    scale = 2 * 0.7**2 * spread
    released = math.sqrt(mean(x, x, scale) + mean(y, y, scale) - 2 * mean(x, y, scale))
    for block in (distances.BLOCK, 50):
        monkeypatch.setattr(distances, "BLOCK", block)
        mmd = metrics.maximum_mean_discrepancy
        assert mmd(x, y, relative=False) == pytest.approx(unbiased, rel=1e-9)
        assert mmd(x, y, relative=False, estimator="biased") == pytest.approx(biased, rel=1e-9)
        assert mmd(x, y, sigma=0.7, estimator="biased", root=True) == pytest.approx(released, rel=1e-9)
    assert unbiased < biased


def test_mmd_self_test():
    mmd = metrics.maximum_mean_discrepancy
    assert abs(mmd(REAL, OTHER)) < 5e-4
    assert mmd(REAL, NOISE) > 0.01
    assert mmd(REAL, REPEATED) > 0.1
    assert mmd(REAL, REAL, estimator="biased", root=True) < 1e-6


def test_frechet_and_kernel_self_test():
    for measure in (metrics.frechet_distance, lambda a, b: metrics.kernel_distance(a, b, subsets=10).mean):
        floor, noise, repeated = (measure(REAL, fake) for fake in (OTHER, NOISE, REPEATED))
        assert floor < noise / 20
        assert floor < repeated / 20


# --- Wasserstein


def test_wasserstein_distance_is_the_best_matching():
    a, b = normal(300, 1), 2 * normal(300, 1, seed=1) + 1
    expected = float((a.sort(0).values - b.sort(0).values).abs().mean())  # on a line, in order
    assert metrics.wasserstein_distance(a, b) == pytest.approx(expected, rel=1e-12)
    x = normal(200, 5)
    moved = x[torch.randperm(200)] + torch.tensor([1.0, 2.0, 2.0, 0.0, 0.0])
    assert metrics.wasserstein_distance(x, moved) == pytest.approx(3, rel=1e-12)  # 9 with the squared cost
    assert metrics.wasserstein_distance(x, x.flip(0)) == 0
    floor = metrics.wasserstein_distance(REAL[:500], OTHER[:500])
    assert floor < 0.7 * metrics.wasserstein_distance(REAL[:500], NOISE[:500])


# --- Inception and Mode Score


def test_inception_score_agrees_with_torchmetrics():
    z = logits(1000)
    other = theirs("inception", "InceptionScore", feature=Same(10), splits=5)
    other.update(z)
    torch.manual_seed(0)
    mean, std = (float(value) for value in other.compute())
    ours = metrics.inception_score(z.softmax(1), 5)
    assert ours.mean == pytest.approx(mean, rel=1e-9)
    assert ours.std == pytest.approx(std * math.sqrt(4 / 5), rel=1e-9)  # theirs is the sample's, the paper's is not


def test_inception_score_range_and_blindness():
    one_hot = torch.eye(10).repeat(100, 1)
    assert metrics.inception_score(one_hot, 1).mean == pytest.approx(10, rel=1e-12)
    assert metrics.inception_score(logits(1).softmax(1).repeat(500, 1)).mean == pytest.approx(1, abs=1e-9)
    # class by class, each part would hold one class: hence the shuffle
    ordered = one_hot[one_hot.argmax(1).argsort()]
    assert metrics.inception_score(ordered).mean > 9
    assert metrics.inception_score(ordered, seed=None).mean == pytest.approx(1)


def test_softmax_less_is():
    """Logits are refused, and so are powers; softmax taken twice gives another, far smaller number."""
    z = logits(500)
    for wrong in (z, z.exp(), z.softmax(0), z.sigmoid()):
        with pytest.raises(UserError, match="softmax"):
            metrics.inception_score(wrong)
    right = metrics.inception_score(z.softmax(1), 1).mean
    kl = (z.softmax(1) * (z.log_softmax(1) - z.softmax(1).mean(0).log())).sum(1).mean().exp()
    assert right == pytest.approx(float(kl), rel=1e-9)
    assert metrics.inception_score(z.softmax(1).softmax(1), 1).mean < 1 + (right - 1) / 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("k", [2, 10, 1000])
def test_probabilities_of_half_precision_are_taken(dtype, k):
    z = 3 * torch.randn(600, k, generator=torch.Generator().manual_seed(0))
    right = metrics.inception_score(z.double().softmax(1), 1).mean
    for p in (z.to(dtype).softmax(1), z.to(dtype).log_softmax(1).exp()):
        assert metrics.inception_score(p, 1).mean == pytest.approx(right, rel=0.02)
        assert metrics.inception_score(p.float().numpy(), 1) == metrics.inception_score(p, 1)
        assert metrics.mode_score(p, p) == pytest.approx(right, rel=0.02)


def test_rows_are_divided_by_their_sums():
    """Rows that rounding left a little short would be worth less than those of the same classifier in float64."""
    p = logits(500).softmax(1)
    whole = metrics.inception_score(p, 1).mean
    assert metrics.inception_score(p * 0.99, 1).mean == pytest.approx(whole, rel=1e-9)
    assert metrics.mode_score(p * 0.99, p * 1.01) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_rows_that_are_no_probabilities_are_refused_in_any_precision(dtype):
    z = logits(500).to(dtype)
    one_row = z.softmax(1)
    one_row[7] *= 0.97
    for wrong in (z, z.exp(), z.sigmoid(), z.softmax(0), z.softmax(1)[:, :-1], one_row, -one_row):
        with pytest.raises(UserError, match="softmax"):
            metrics.inception_score(wrong)
        with pytest.raises(UserError, match="softmax"):
            metrics.mode_score(z.softmax(1), wrong)


def test_mode_score_does_not_collapse_to_the_inception_score():
    """With the first term against p(y*), the two terms are the plain Inception Score whatever the reals are."""
    fake, real = logits(400, seed=1).softmax(1), logits(300, seed=2).softmax(1) * torch.linspace(0.2, 3, 10)
    real = real / real.sum(1, keepdim=True)
    p, q = fake.mean(0), real.mean(0)
    apart = float((p * (p / q).log()).sum())
    against_reals = float((fake * (fake / q).log()).sum(1).mean())
    plain = metrics.inception_score(fake, 1).mean
    assert math.exp(against_reals - apart) == pytest.approx(plain, rel=1e-9)  # the mistake
    assert metrics.mode_score(fake, real) == pytest.approx(plain * math.exp(-apart), rel=1e-9)
    assert apart > 0.05
    assert metrics.mode_score(fake, fake) == pytest.approx(plain, rel=1e-9)
    assert metrics.mode_score(real, fake) != pytest.approx(metrics.mode_score(fake, real), rel=0.01)  # the order
    half = torch.eye(10)[:5].double()
    assert metrics.mode_score(torch.eye(10), half) == 0
    assert metrics.mode_score(half, torch.eye(10)) == pytest.approx(5 * 0.5)


# --- nearest neighbours


def test_nearest_neighbour_test_on_the_four_cases():
    test = metrics.nearest_neighbour_test
    same = [test(blobs(1000, 3 * seed), blobs(1000, 3 * seed + 500)) for seed in range(8)]
    for half in zip(*same, strict=True):
        assert 0.48 <= sum(half) / len(half) <= 0.52
    assert test(REAL, NOISE + 20).accuracy > 0.99
    assert test(REAL, REPEATED).fake > 0.99
    copied = test(REAL, REAL + 1e-9)  # memorised: each one's nearest is of the other set
    assert copied.real < 0.01
    assert copied.fake < 0.01
    assert test(REAL, REAL[torch.randperm(N)]) == copied._replace(accuracy=0, real=0, fake=0)
    collapsed = OTHER[:20].repeat(100, 1) + 1e-3 * normal(N, 8, seed=9)
    few = test(REAL, collapsed)
    assert few.fake > 0.95
    assert few.accuracy == (few.real + few.fake) / 2
    assert test(REPEATED, REPEATED) == (0.5, 0.5, 0.5)  # nothing to tell apart


def test_1nn_with_self_included(monkeypatch):
    """A sample that is its own neighbour is always right."""
    plain = neighbours.kth_distance
    monkeypatch.setattr(neighbours, "kth_distance", lambda a, b, k, same=False: plain(a, b, k))
    assert metrics.nearest_neighbour_test(REAL, OTHER).accuracy == 1


def test_precision_and_recall_see_which_side_is_missing():
    good = metrics.precision_recall(REAL, OTHER)
    assert min(good) > 0.8
    near = REAL.mean(0) + 0.05 * normal(N, 8, seed=3)
    narrow = metrics.precision_recall(REAL, OTHER[:1] + 0.3 * normal(N, 8, seed=4))
    assert narrow.precision > 0.8
    assert narrow.recall < 0.05
    wide = metrics.precision_recall(REAL, torch.cat([OTHER[:1000], 100 + NOISE[:1000]]))
    assert wide.precision == pytest.approx(0.5 * good.precision, abs=0.05)
    assert metrics.precision_recall(REAL, 100 + near) == (0, 0)
    assert metrics.precision_recall(REAL, REAL) == (1, 1)


def test_balls_are_closed_for_precision_and_open_for_coverage():
    line = torch.arange(0.0, 12.0, 2.0)[:, None]
    edge = line[:1].repeat(6, 1) - 6.0  # at just the distance of the third neighbour of the first point
    assert metrics.precision_recall(line, edge, k=3).precision == 1
    assert metrics.density_coverage(line, edge, k=3) == (0, 0)
    inside = metrics.density_coverage(line, edge + 1e-6, k=3)
    assert inside.density == pytest.approx(1 / 3)
    assert inside.coverage == pytest.approx(1 / 6)


def test_density_and_coverage_of_reals_are_about_1_and_969():
    pairs = [metrics.density_coverage(blobs(1000, 3 * seed), blobs(1000, 3 * seed + 500)) for seed in range(10)]
    density, coverage = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    assert density == pytest.approx(1, abs=0.03)

    def expected(n, k):
        return 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))

    assert coverage == pytest.approx(expected(1000, 5), abs=0.006)
    assert expected(1000, 5) == pytest.approx(0.969, abs=0.001)
    assert abs(coverage - expected(1000, 4)) > 0.02  # the fence post
    spread = metrics.density_coverage(REAL, REPEATED)
    assert spread.coverage < 0.05
    assert metrics.density_coverage(REAL, 100 + NOISE) == (0, 0)


# --- modes


def ring(n, seed=0, sharpness=1.0, modes=8):
    generator = torch.Generator().manual_seed(seed)
    centre = mode_centres("ring")[torch.randint(modes, (n,), generator=generator)]
    return centre + sharpness * MODE_STD["ring"] * torch.randn(n, 2, generator=generator)


def test_mode_coverage_has_its_ceiling():
    centres, std = mode_centres("ring"), MODE_STD["ring"]
    perfect = metrics.mode_coverage(ring(100_000), centres, std)
    assert perfect.covered == 8
    assert perfect.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.0015)
    assert sum(perfect.counts) == round(perfect.high_quality * 100_000)
    assert metrics.mode_coverage(ring(100_000, sharpness=0.5), centres, std).high_quality > 0.999  # too sharp
    assert metrics.mode_coverage(ring(2500, modes=3), centres, std).covered == 3
    assert metrics.mode_coverage(ring(2500) + 0.3, centres, std).covered == 0
    beside = metrics.mode_coverage(centres + torch.tensor([4 * std, 0.0]), centres, std)
    assert beside == (0, 0.0, (0,) * 8), "4 deviations from every centre"
    grid = metrics.mode_coverage(mode_centres("grid"), mode_centres("grid"), MODE_STD["grid"])
    assert grid == (25, 1.0, (1,) * 25)


def test_fair_share_and_own_widths():
    centres, std = mode_centres("ring"), MODE_STD["ring"]
    points = torch.cat([ring(2490, modes=7), centres[7:].repeat(10, 1)])  # 10 of the 312 that are its share
    for share, covered in ((0.0, 8), (0.01, 8), (0.1, 7)):
        assert metrics.mode_coverage(points, centres, std, fair_share=share).covered == covered
    two = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    # 5 from the first, 5.1 from the second: near is what is near the NEAREST centre, in its own width
    assert metrics.mode_coverage([[4.95, 0.0]], two, torch.tensor([0.1, 10.0])).covered == 0
    assert metrics.mode_coverage([[5.05, 0.0]], two, torch.tensor([0.1, 10.0])).counts == (0, 1)
    assert metrics.mode_coverage([[3.0, 0.0]], two, 1.0).covered == 0  # just 3 is not nearer than 3


def test_stacked_mode_coverage_has_its_floor():
    digits = torch.randint(10, (26_000, 3), generator=torch.Generator().manual_seed(0))
    perfect = metrics.stacked_mode_coverage(digits)
    assert perfect.modes == 1000
    assert perfect.kl == pytest.approx(999 / 52_000, abs=0.002)
    assert perfect.kl == pytest.approx(0.019, abs=0.002)
    one = metrics.stacked_mode_coverage(torch.tensor([[3, 1, 4]] * 50))
    assert one.modes == 1
    assert one.kl == pytest.approx(math.log(1000))
    grey = digits[:, :1].repeat(1, 3)  # the three channels alike
    assert metrics.stacked_mode_coverage(grey) == (10, pytest.approx(math.log(100), abs=0.001))
    assert metrics.stacked_mode_coverage(digits[:, [0]]).modes == 10
    by_hand = metrics.stacked_mode_coverage(torch.tensor([[0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 0]]))
    assert by_hand == (2, pytest.approx(0.75 * math.log(750) + 0.25 * math.log(250)))


# --- labels and clusters


def test_accuracy_takes_classes_or_scores():
    label = torch.tensor([0, 1, 2, 3])
    scores_ = torch.eye(4)[torch.tensor([0, 1, 2, 2])]
    for predicted in (torch.tensor([0, 1, 2, 2]), scores_, 5 * scores_ - 3, scores_.numpy()):
        assert metrics.accuracy(predicted, label) == 0.75
        assert metrics.label_fidelity(predicted, label) == 0.75
    shuffled = torch.randint(10, (20_000,), generator=torch.Generator().manual_seed(0))
    assert metrics.label_fidelity(shuffled, shuffled.roll(1)) == pytest.approx(0.1, abs=0.01)


def test_clusters_have_no_names():
    label = torch.randint(10, (2000,), generator=torch.Generator().manual_seed(0))
    named = torch.randperm(10, generator=torch.Generator().manual_seed(1))[label] * 7 - 20
    measures = (metrics.clustering_accuracy, metrics.normalised_mutual_information, metrics.adjusted_rand_index)
    for measure in measures:
        assert measure(named, label) == pytest.approx(1)
        assert measure(label, named) == pytest.approx(1)
    assert metrics.accuracy(named, label) < 0.2  # the control
    random = label[torch.randperm(2000, generator=torch.Generator().manual_seed(2))]
    assert metrics.clustering_accuracy(random, label) < 0.2
    assert abs(metrics.adjusted_rand_index(random, label)) < 0.01
    assert 0 < metrics.normalised_mutual_information(random, label) < 0.05


def test_known_tables_of_clusters():
    a, b, c = (torch.tensor(values) for values in ([0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 0, 1]))
    assert metrics.adjusted_rand_index(a, b) == pytest.approx(4 / 7)
    assert metrics.adjusted_rand_index(a, c) == pytest.approx(-0.5)
    assert metrics.normalised_mutual_information(a, b) == pytest.approx(0.8)  # log 2 / ((log 2 + 1.5 log 2) / 2)
    assert metrics.normalised_mutual_information(a, c) == pytest.approx(0, abs=1e-12)
    for measure in (metrics.adjusted_rand_index, metrics.normalised_mutual_information, metrics.clustering_accuracy):
        assert measure(a * 0, a * 0 + 5) == 1
    assert metrics.adjusted_rand_index(a * 0, a) == metrics.normalised_mutual_information(a * 0, a) == 0
    # one-to-one, the third cluster is wrong; by majority it is right; greedy naming would give 3 of 5
    assert metrics.clustering_accuracy(b, a) == 0.75
    assert metrics.clustering_accuracy(b, a, majority=True) == 1
    rows = torch.tensor([0] * 9 + [0] * 8 + [1] * 8)
    columns = torch.tensor([0] * 9 + [1] * 8 + [0] * 8)
    assert metrics.clustering_accuracy(rows, columns) == pytest.approx(16 / 25)  # greedy: 9 / 25


def test_clusters_agree_with_torchmetrics():
    from torchmetrics.functional.clustering import adjusted_rand_score, normalized_mutual_info_score

    generator = torch.Generator().manual_seed(0)
    label = torch.randint(6, (500,), generator=generator)
    other = torch.randint(9, (500,), generator=generator)
    cluster = torch.where(torch.rand(500, generator=generator) < 0.6, label, other)
    expected = float(adjusted_rand_score(cluster, label))
    assert metrics.adjusted_rand_index(cluster, label) == pytest.approx(expected, rel=1e-5)
    expected = float(normalized_mutual_info_score(cluster, label))
    assert metrics.normalised_mutual_information(cluster, label) == pytest.approx(expected, rel=1e-5)


# --- pixels


def smooth(n=3, c=3, side=40, seed=0):
    coarse = torch.rand(n, c, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, (side, side + 8), mode="bilinear")


def test_psnr_is_the_mean_of_single_images():
    flat = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    off = flat.clone()
    off[0], off[1] = 1, 10
    each = [20 * math.log10(255), 20 * math.log10(25.5)]
    assert metrics.psnr(off, flat, channel="rgb") == pytest.approx(sum(each) / 2)
    pooled = 10 * math.log10(255**2 / 50.5)
    assert abs(pooled - sum(each) / 2) > 3  # the mistake
    # one level of grey is 219 / 255 of a level of luma, and the peak stays 255
    assert metrics.psnr(off[:1], flat[:1]) == pytest.approx(20 * math.log10(255 * 255 / 219))
    assert metrics.psnr(flat, flat) == math.inf


def test_luma_is_that_of_bt601_in_studio_range():
    colours = torch.tensor([[0.0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])[:, :, None, None]
    expected = torch.tensor([16.0, 235, 81.481, 144.553, 40.966])
    assert torch.allclose(luma(colours).flatten(), expected)
    assert torch.allclose(luma(colours / 255, 1.0).flatten() * 255, expected)
    assert luma(torch.tensor([255.0]).view(1, 1, 1, 1)).item() == pytest.approx(235)


def test_floats_are_clipped_and_rounded_to_the_256_levels():
    stored = torch.randint(256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    reference = stored.roll(1, 3)
    exact = stored.double() / 127.5 - 1
    rough = exact + 0.3 / 127.5
    for image in (exact, rough, torch.where(exact == 1, 1.7, exact).float()):
        assert metrics.psnr(image, reference) == pytest.approx(metrics.psnr(stored, reference), rel=1e-9)
        assert metrics.psnr(reference, image.clamp(-1, 1)) == pytest.approx(metrics.psnr(reference, stored), rel=1e-9)
    kept = metrics.psnr(rough * 127.5 + 127.5, reference, data_range=255)
    assert kept != pytest.approx(metrics.psnr(stored, reference), rel=1e-6)


def test_the_border_does_not_count():
    x = smooth()
    y = x.clone()
    y[:, :, :4] = y[:, :, -4:] = 0
    y[:, :, :, :4] = y[:, :, :, -4:] = 0
    assert metrics.psnr(x, y, border=4, data_range=1) == math.inf
    assert metrics.ssim(x, y, border=4, data_range=1) == pytest.approx(1)
    assert metrics.psnr(x, y, border=3, data_range=1) < 40
    assert metrics.ssim(x, y, border=3, data_range=1) < 0.999


def test_psnr_and_ssim_agree_with_torchmetrics():
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    x, y = smooth(), (smooth() + 0.1 * normal(3, 3, 40, 48)).clamp(0, 1)
    expected = peak_signal_noise_ratio(x, y, data_range=1.0, dim=(1, 2, 3))
    assert metrics.psnr(x, y, channel="rgb", data_range=1) == pytest.approx(float(expected), rel=1e-6)
    for channel, one, two, size in (("rgb", x, y, 1.0), ("y", luma(255 * x), luma(255 * y), 255.0)):
        _, whole = structural_similarity_index_measure(one, two, data_range=size, return_full_image=True)
        valid = float(whole[:, :, 5:-5, 5:-5].mean())  # theirs mirrors the image at its edge
        assert metrics.ssim(x * size, y * size, channel=channel, data_range=size) == pytest.approx(valid, rel=1e-6)
        assert valid != pytest.approx(float(whole.mean()), rel=1e-4)
    assert metrics.ssim(x, x, data_range=1) == pytest.approx(1, rel=1e-12)
    assert metrics.ssim(x, y, data_range=1) == pytest.approx(metrics.ssim(y, x, data_range=1), rel=1e-12)


def test_bicubic_set5_is_the_row_of_the_tables(real_data):
    """28.43 dB and 0.811 of x4 on Set5: any other convention gives another number."""
    values = {"y": [], "rgb": [], "whole": []}
    for path in sorted((real_data / "sr" / "Set5").glob("*.png")):
        picture = Image.open(path).convert("RGB")
        picture = picture.crop((0, 0, picture.width // 4 * 4, picture.height // 4 * 4))
        small = picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.BICUBIC)
        large = small.resize(picture.size, Image.Resampling.BICUBIC)
        x, y = (torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] for image in (large, picture))
        for channel in ("y", "rgb"):
            values[channel].append([f(x, y, channel=channel, border=4) for f in (metrics.psnr, metrics.ssim)])
        values["whole"].append([metrics.psnr(x, y), metrics.ssim(x, y)])
    near = 0.015  # the rounding of the table, and 0.01 between the bicubic filters of Pillow and of MATLAB
    mean = {name: np.mean(rows, axis=0) for name, rows in values.items()}
    assert mean["y"][0] == pytest.approx(28.43, abs=near)
    assert mean["y"][1] == pytest.approx(0.811, abs=0.001)
    assert mean["rgb"][0] == pytest.approx(26.70, abs=near)
    assert mean["rgb"][1] == pytest.approx(0.773, abs=0.001)
    assert mean["whole"][0] == pytest.approx(28.44, abs=near)
    assert [row[0] for row in values["y"]] == pytest.approx([31.79, 30.19, 22.10, 31.62, 26.47], abs=0.02)


# --- diversity


def test_feature_map_distance_by_hand():
    x, y = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    x[0, :, 0, 0], y[0, :, 0, 0] = torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])  # the same direction
    x[0, :, 0, 1], y[0, :, 0, 1] = torch.tensor([5.0, 0.0]), torch.tensor([0.0, 2.0])  # at right angles: 1 + 1
    assert float(metrics.feature_map_distance([x], [y])) == pytest.approx(1)
    weights = [torch.tensor([0.5, 3.0])]
    assert float(metrics.feature_map_distance([x], [y], weights)) == pytest.approx(1.75)
    assert float(metrics.feature_map_distance([x, x], [y, y], weights * 2)) == pytest.approx(3.5)
    assert float(metrics.feature_map_distance([x], [x])) == 0
    for b, wrong in (([y, y], None), ([y[:, :1]], None), ([y], [torch.ones(3)]), ([y], [-weights[0]])):
        with pytest.raises(UserError):
            metrics.feature_map_distance([x], b, wrong)


def test_diversity_is_the_mean_over_pairs_of_one_input():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Tanh())
    samples = torch.randn(2, 4, 3, 9, 9)
    weights = [torch.rand(5)]
    pairs = [
        float(metrics.feature_map_distance([network(group[i : i + 1])], [network(group[j : j + 1])], weights).detach())
        for group in samples
        for i in range(4)
        for j in range(i)
    ]
    value = metrics.lpips_diversity(samples, lambda x: [network(x)], weights)
    assert value == pytest.approx(sum(pairs) / len(pairs), rel=1e-6)
    assert metrics.feature_diversity(samples, lambda x: [network(x)]) > value
    # a generator that ignores its noise has none, however different its inputs are
    ignored = samples[:, :1].expand(-1, 4, -1, -1, -1)
    assert metrics.feature_diversity(ignored, lambda x: [network(x)]) < 1e-12


# --- likelihood


def test_nll_in_bits_per_dimension():
    result = metrics.nll(torch.full((5,), 3072 * math.log(256)), (3, 32, 32))
    assert result == (pytest.approx(3072 * math.log(256)), 0, pytest.approx(8))  # uniform over 256 levels
    binary = metrics.nll(torch.tensor([543.0, 544.0]), (1, 28, 28))
    assert binary.nats == 543.5
    assert binary.standard_error == pytest.approx(0.5)
    assert binary.bits_per_dimension == pytest.approx(1, abs=1e-3)  # a coin for each pixel: 784 log 2 = 543.4
    assert math.isnan(metrics.nll(torch.tensor([1.0]), (2,)).standard_error)


def test_information_is_never_below_0():
    assert float(scores._information(logits(1).softmax(1).repeat(7, 1))) >= 0
