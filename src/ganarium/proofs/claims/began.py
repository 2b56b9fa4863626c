from ganarium.proofs.claim import ChangeOptions, Claim, at_most, scale
from ganarium.proofs.measures.discriminators import BalanceOfLosses

began_balance = Claim(
    text="The variable k holds the ratio E[L(G(z))] / E[L(x)] at gamma, while the convergence measure M falls.",
    source="Berthelot et al. 2017, sections 3.3 to 3.4",
    control=ChangeOptions({"lambda_k": 1e-12}),
    control_text="k stays at 0, where it starts: D is a plain auto-encoder",
    measure=BalanceOfLosses(),
    quick=scale(
        "glyphs", 1000, size=16, characters="digits", batch_size=8, width=8, latent_dim=16, lr=1e-3, lambda_k=0.05
    ).requires(at_most(off_gamma=0.35, m_left=0.6)),
    cpu=scale("lfw64", 1600, size=32, width=16, lr=5e-4, lambda_k=0.01).requires(at_most(off_gamma=0.2, m_left=0.6)),
)
