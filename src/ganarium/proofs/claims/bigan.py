from ganarium.proofs.claim import ChangeModel, Claim, at_most, scale
from ganarium.proofs.measures.bigan_inverse import BLIND, Inverse, blind_to_codes

bigan_inverse = Claim(
    text="The encoder inverts G, though no loss compares an image with what is made of its code.",
    source="Donahue et al. 2016, section 3 and theorem 2",
    paper="the released run on MNIST: rebuilt 8.70 / 9.55 = 0.91 after 1 epoch, 0.77 after 25, 0.62 after 400",
    control=ChangeModel(blind_to_codes),
    control_text=BLIND,
    measure=Inverse(),
    cpu=scale("mnist", 5000, size=16, latent_dim=10, width=256, lr=1e-3).requires(at_most(rebuilt=0.85)),
)
