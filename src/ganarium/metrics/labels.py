"""Measures the share of right answers: of a classifier on data, and of a judge on conditional samples."""

from torch import Tensor

from ganarium.errors import UserError
from ganarium.metrics.checks import as_double, as_label_pair, as_tensor


def accuracy(predicted: Tensor, label: Tensor) -> float:
    """Share of samples whose predicted class is their label, from 0 to 1; 1 minus it is the error rate.

    `predicted` holds classes (n,), or probabilities or logits (n, k), of which the largest is taken. For
    semi-supervised and domain-adaptation models: on the test split, never on the batch that was trained on.

    Raises `UserError` for other lengths or shapes, labels that are no whole numbers, or NaN.
    """
    first, second = as_label_pair(_classes(predicted), label, ("predicted", "label"))
    return int((first == second).sum()) / len(first)


def label_fidelity(predicted: Tensor, label: Tensor) -> float:
    """Share of conditional samples G(z, y) that a judge reads as the y they were asked for, from 0 to 1.

    `predicted` are the judge's classes (n,), or its probabilities or logits (n, k); `label` (n,) is y. The
    judge is trained on real data only and is never the model's own classifier. Its accuracy on real test images is
    the ceiling to print beside it, and 1 / k (fakes that ignore y) is the floor.

    Raises `UserError` as `accuracy` does.
    """
    return accuracy(predicted, label)


def _classes(predicted: Tensor) -> Tensor:
    predicted = as_tensor(predicted, "predicted")
    if predicted.dim() != 2:
        return predicted
    if predicted.shape[1] < 2:
        raise UserError("predicted must be classes (n,) or scores (n, k) of at least two classes, not (n, 1).")
    return as_double(predicted, "predicted").argmax(1)
