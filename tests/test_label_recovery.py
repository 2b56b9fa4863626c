"""Whether generated facades show what their maps say is read by a segmenter that is right on what was planted."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ganarium.data.dataset import Dataset, decode
from ganarium.proofs.measures import label_recovery
from ganarium.proofs.measures.label_recovery import PALETTE, LabelRecovery, labels_of, scores


def maps(n, generator, kinds=12):
    """Labels (n, 32, 32) in blocks of 16, and maps of them (n, 32, 32, 3), blurred by up to 20 levels."""
    blocks = torch.randint(kinds, (n, 2, 2), generator=generator)
    labels = blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    noise = torch.randint(-20, 21, (*labels.shape, 3), generator=generator)
    return labels, (torch.tensor(PALETTE)[labels] + noise).clamp(0, 255).byte()


class Reads(nn.Module):
    """Says the labels that were written into the first channel."""

    def forward(self, images):
        return nn.functional.one_hot(images[:, 0].long(), len(PALETTE)).permute(0, 3, 1, 2)


def test_labels_are_read_off_a_blurred_map():
    labels, images = maps(4, torch.Generator().manual_seed(0))
    assert torch.equal(labels_of(decode(images)), labels)


def test_scores_by_hand():
    truth = torch.tensor([[[0, 0, 1, 1]]])
    assert scores(Reads(), truth[:, None].float(), truth) == {"pixels": 1, "labels": 1, "overlap": 1}
    read = torch.tensor([[[[0.0, 0.0, 0.0, 2.0]]]])  # label 2 is on no map and counts for none
    # of label 0 both of 2 pixels, and 2 of the 3 that are it in either; of label 1 none
    assert scores(Reads(), read, truth) == pytest.approx({"pixels": 0.5, "labels": 0.5, "overlap": 1 / 3})


def test_the_right_photographs_are_told_from_others_and_from_flat_ones(monkeypatch):
    """The photographs are the maps in other colours, so that a segmenter can learn them in a few steps."""
    monkeypatch.setattr(label_recovery, "STEPS", 40)
    splits = []
    for seed, n in ((1, 32), (2, 8)):
        _, second = maps(n, torch.Generator().manual_seed(seed), kinds=3)
        splits.append(Dataset("facades", second.flip(3), second=second, paired=True))
    train, test = splits
    experiment = SimpleNamespace(train=train, test=test, device=torch.device("cpu"))
    measure, state = LabelRecovery(), torch.get_rng_state()
    rows = measure.baselines(experiment)
    assert torch.equal(torch.get_rng_state(), state)
    assert rows["photographs"]["labels"] > 0.7 > 0.5 > rows["photographs_of_other_maps"]["labels"]
    flat = SimpleNamespace(translate=lambda part, direction: part.flip(1).mean((2, 3), keepdim=True).expand_as(part))
    exact = SimpleNamespace(translate=lambda part, direction: part.flip(1))
    values = measure.read(experiment, exact).values
    assert values == rows["photographs"]  # the same whenever it is learned
    assert measure.read(experiment, flat).values["overlap"] < values["overlap"] / 2
