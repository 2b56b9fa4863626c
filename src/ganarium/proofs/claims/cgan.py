from ganarium.proofs.claim import Claim, ReplaceStep, ShuffledLabels, at_least, scale
from ganarium.proofs.measures.labels import FidelityWithDropout, LabelFidelity, MatchArea, without_mismatched

cgan_labels = Claim(
    text="G draws the class that it is asked for.",
    source="Mirza, Osindero 2014, section 4.1 and figure 2",
    control=ShuffledLabels(),
    measure=LabelFidelity(),
    cpu=scale("mnist", 8000, size=16, network="dcgan", width=16, dropout=0.1, lr=6e-4).requires(
        at_least(fidelity=0.9, diversity=0.6)
    ),
)

cgan_match = Claim(
    text="With two networks in D, the one for the match knows which label an unseen image has.",
    source="Reed et al. 2016, section 4.2: their matching-aware discriminator, with labels in place of sentences",
    control=ReplaceStep(without_mismatched),
    control_text="D never sees a real image with another label, and pairs of G weigh twice as much",
    measure=MatchArea(),
    cpu=scale("mnist", 3000, size=16, design="two_networks", network="dcgan", width=16, lr=6e-4).requires(
        at_least(area=0.98)
    ),
)

cgan_perceptrons = Claim(
    text="The paper's perceptrons, the default for images, draw the class that is asked for, in varied forms.",
    source="Mirza, Osindero 2014, section 4.1 and figure 2",
    control=ShuffledLabels(),
    measure=FidelityWithDropout(),
    cpu=scale("mnist", 12_000, size=28).requires(at_least(fidelity=0.9, diversity=0.6)),
)
