from ganarium.proofs.claim import ChangeOptions, Claim, at_most, scale
from ganarium.proofs.measures.fastgan_redrawn import Redrawn

fastgan_redrawn = Claim(
    text="D, which must redraw the images that it sees, keeps what held-out images look like in its last map.",
    source="Liu et al. 2021, section 3.2",
    control=ChangeOptions({"reconstruction_weight": 0.0}),
    control_text="D learns from real and fake alone",
    measure=Redrawn(),
    cpu=scale("lfw64", 300, size=32, width=16).requires(at_most(error=0.6, unexplained=0.187)),
)
