from typing import Any

from ganarium.proofs.claim import ChangeModel, ChangeOptions, Claim, between, scale
from ganarium.proofs.measures.likelihood import ExactLikelihood, ThresholdedLikelihood


def see_the_pixel(model: Any) -> None:
    model.network.first.mask[:, :, 3, 3] = True


SEES = ChangeModel(see_the_pixel)
SEES_TEXT = "the first layer has mask B, which sees the pixel that it is to predict"
PAPER = "MNIST, binary: 79.20 nats (Diagonal BiLSTM of 7 layers, another network, trained for far longer)"

pixelrnn_likelihood = Claim(
    text="Held-out digits are far likelier than their pixels are one by one, and no likelier than noise allows.",
    source="van den Oord et al. 2016, section 5.2 and table 4",
    paper=PAPER,
    control=SEES,
    control_text=SEES_TEXT,
    measure=ExactLikelihood(),
    quick=scale("glyphs", 1000, size=16, characters="digits", num_blocks=3, numbers={"images": 500}).requires(
        between(nats=(15.0, 38.0))
    ),
    cpu=scale("mnist", 800, numbers={"images": 1000}).requires(between(nats=(75.0, 110.0))),
)

pixelrnn_row_lstm = Claim(
    text="Two layers of the Row LSTM find held-out digits far likelier than their pixels are one by one.",
    source="van den Oord et al. 2016, sections 3.1 and 5.2",
    paper=PAPER,
    control=SEES,
    control_text=SEES_TEXT,
    measure=ExactLikelihood(),
    cpu=scale("mnist", 400, layer="row_lstm", num_blocks=2, numbers={"images": 1000}).requires(
        between(nats=(75.0, 120.0))
    ),
)

pixelrnn_diagonal = Claim(
    text="Two layers of the Diagonal BiLSTM find held-out digits far likelier than their pixels are one by one.",
    source="van den Oord et al. 2016, sections 3.2 and 5.2",
    paper=PAPER,
    control=SEES,
    control_text=SEES_TEXT,
    measure=ExactLikelihood(),
    runs_beside={
        "row_lstm": ChangeOptions({"layer": "row_lstm"}),
        "pixelcnn": ChangeOptions({"layer": "convolution", "num_blocks": 7}),
    },
    beside_text="row_lstm and pixelcnn: after as many steps, with 2 layers and with 7 residual blocks.",
    cpu=scale("mnist", 400, layer="diagonal_bilstm", num_blocks=2, numbers={"images": 1000}).requires(
        between(nats=(75.0, 120.0))
    ),
)

pixelrnn_thresholded = Claim(
    text="Held-out digits in fixed black and white are likelier than by any table of their neighbours.",
    source="van den Oord et al. 2016, section 3.5; the digits are not those of its table 4",
    control=SEES,
    control_text=SEES_TEXT,
    measure=ThresholdedLikelihood(),
    cpu=scale("mnist", 800, numbers={"images": 1000}).requires(between(nats=(40.0, 80.0))),
)
