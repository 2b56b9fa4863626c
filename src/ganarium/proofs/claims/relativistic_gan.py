from ganarium.proofs.claim import ChangeOptions, Claim, at_most, scale
from ganarium.proofs.measures.fixed_fakes import TwoBlobs

relativistic_gan_penalties = Claim(
    text="R1 and R2 together hold D's gradient on data and on fakes; R1 alone leaves it steep on the fakes.",
    source='Huang et al. 2025, "The GAN is dead; long live the GAN!", section 2: the loss of R3GAN',
    control=ChangeOptions({"penalty": "r1"}),
    control_text="D has R1 alone",
    measure=TwoBlobs(),
    runs_beside={"no_penalty": ChangeOptions({"penalty": "none"})},
    beside_text="no_penalty: a run without R1 and R2.",
    quick=scale("ring", 800, loss="rsgan", penalty="r1_r2", width=64, lr=1e-3, beta1=0.0, batch_size=256).requires(
        at_most(slope=0.4)
    ),
)
