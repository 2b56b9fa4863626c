"""Inception-v3 in the form of the Frechet Inception distance, without its weights: wiring, names, sentences."""

import hashlib

import pytest
import torch
import torch.nn.functional as F

from ganarium.errors import UserError
from ganarium.metrics.judges import inception
from ganarium.metrics.judges.inception import FILE, Inception, average, find_inception, largest, load_inception

FIVE = ["1x1", "5x5_1", "5x5_2", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3", "_pool"]
SEVEN = ["1x1", *(f"7x7_{n}" for n in (1, 2, 3)), *(f"7x7dbl_{n}" for n in (1, 2, 3, 4, 5)), "_pool"]
WIDE = ["1x1", "3x3_1", "3x3_2a", "3x3_2b", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3a", "3x3dbl_3b", "_pool"]
BLOCKS = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), FIVE),
    "Mixed_6a": ["3x3", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3"],
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), SEVEN),
    "Mixed_7a": ["3x3_1", "3x3_2", "7x7x3_1", "7x7x3_2", "7x7x3_3", "7x7x3_4"],
    **dict.fromkeys(("Mixed_7b", "Mixed_7c"), WIDE),
}
STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]


@pytest.fixture(scope="module")
def network():
    """Random weights, with the statistics of batch norm at which no layer fades away."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all that is seen
    with torch.no_grad():
        network.train().net(torch.randn(2, 3, 299, 299))
    return network.eval()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    for name in ("GANARIUM_INCEPTION", "GANARIUM_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GANARIUM_CACHE", str(tmp_path / "cache"))
    return tmp_path


def theirs(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1)


def test_the_names_of_all_tensors_are_the_published_ones(network):
    convolutions = STEM + [f"{block}.branch{name}" for block, names in BLOCKS.items() for name in names]
    assert len(convolutions) == 94
    parts = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    published = {f"{name}.{part}" for name in convolutions for part in parts} | {"fc.weight", "fc.bias"}
    ours = network.net.state_dict()
    assert {name for name in ours if not name.endswith("num_batches_tracked")} == published
    assert ours["fc.weight"].shape == (1008, 2048)
    assert ours["Mixed_5b.branch_pool.conv.weight"].shape == (32, 192, 1, 1)
    assert ours["Mixed_6b.branch7x7_2.conv.weight"].shape == (128, 128, 1, 7)
    assert ours["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert all(module.eps == 0.001 for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))


def test_the_wiring_is_inception_and_the_pooling_is_not_torchvision_s(network):
    torch.manual_seed(1)
    x = torch.rand(1, 3, 299, 299) * 2 - 1
    with torch.no_grad():
        expected = network.net(x)
        same = network.head(network.penultimate(x, pool=theirs, last=theirs))
        torch.testing.assert_close(same, expected, rtol=1e-3, atol=1e-4)
        for changed in ({"pool": theirs}, {"last": theirs}, {}):
            other = network.head(network.penultimate(x, **changed))
            assert (other - expected).abs().max() > 100 * (same - expected).abs().max(), changed
        features = network.penultimate(x)
    torch.testing.assert_close(features, network.features(x))
    assert features.shape == (1, 2048)


def test_the_border_is_averaged_over_the_places_inside():
    x = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    assert average(x)[0, 0, 0, 0] == (1 + 2 + 4 + 5) / 4
    assert average(x)[0, 0, 1, 1] == 5
    assert theirs(x)[0, 0, 0, 0] == (1 + 2 + 4 + 5) / 9  # the control
    assert largest(x)[0, 0].tolist() == [[5, 6, 6], [8, 9, 9], [8, 9, 9]]
    assert largest(-x)[0, 0, 0, 0] == -1  # padding never wins


def test_images_are_stretched_without_antialiasing(network):
    torch.manual_seed(0)
    images = torch.rand(2, 1, 20, 30) * 2 - 1
    prepared = network.prepare(images)
    assert prepared.shape == (2, 3, 299, 299)
    assert torch.equal(prepared[:, 0], prepared[:, 2])
    assert prepared.abs().max() <= 1
    large = torch.randn(1, 3, 1196, 1196)
    assert network.prepare(large).std() > 0.45  # antialiasing would leave half of it
    as_is = torch.rand(1, 3, 299, 299)
    assert torch.equal(network.prepare(as_is), as_is)
    assert network.probabilities(images[:1]).shape == (1, 1008)


def test_without_the_file_one_sentence_says_which_from_where_and_where_to(nowhere):
    with pytest.raises(UserError) as caught:
        load_inception()
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        FILE,
        "https://github.com/mseitzer/pytorch-fid/releases",
        str(nowhere / "cache"),
        "GANARIUM_INCEPTION",
    ):
        assert part in message


def test_a_wrong_file_is_refused(nowhere, monkeypatch):
    (nowhere / FILE).write_bytes(b"<html>not found</html>")
    monkeypatch.setenv("GANARIUM_INCEPTION", str(nowhere))
    with pytest.raises(UserError, match=r"is not the weights of Inception \(its SHA-256 starts with .* not 6726825d"):
        load_inception()


def test_a_file_of_the_published_form_is_found_and_read(network, nowhere, monkeypatch):
    tensors = {name: value for name, value in network.net.state_dict().items() if "num_batches" not in name}
    torch.save(tensors, nowhere / "aside")
    digest = hashlib.sha256((nowhere / "aside").read_bytes()).hexdigest()
    name = f"pt_inception-2015-12-05-{digest[:8]}.pth"
    monkeypatch.setattr(inception, "FILE", name)
    places = {
        "GANARIUM_INCEPTION": nowhere / "own",
        "GANARIUM_DATA": nowhere / "data",
        "GANARIUM_CACHE": nowhere / "cache",
    }
    for variable, folder in places.items():
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(folder))
            folder.mkdir(exist_ok=True)
            (nowhere / "aside").rename(folder / name)
            assert find_inception() == folder / name
            (folder / name).rename(nowhere / "aside")
    monkeypatch.setenv("GANARIUM_INCEPTION", str((nowhere / "aside").rename(nowhere / name)))
    loaded = load_inception()
    assert (loaded.name, loaded.digest) == ("inception", digest[:16])
    assert not loaded.training
    assert all(torch.equal(value, tensors[key]) for key, value in loaded.net.state_dict().items() if key in tensors)

    del tensors["fc.bias"]
    torch.save(tensors, nowhere / name)
    monkeypatch.setattr(inception, "FILE", f"x-{hashlib.sha256((nowhere / name).read_bytes()).hexdigest()[:8]}.pth")
    with pytest.raises(UserError, match="is not the weights of Inception"):
        load_inception()
