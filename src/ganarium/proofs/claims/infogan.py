from ganarium.proofs.claim import ChangeOptions, Claim, at_least, scale
from ganarium.proofs.measures.categories import ReadableCodes

infogan_codes = Claim(
    text="If G is trained for it, Q reads categories from its images; without labels they become kinds of digits.",
    source="Chen et al. 2016, section 7.2 and figure 2",
    paper="MNIST: 5 % error of the category read from real images, that is 0.95",
    control=ChangeOptions({"information_weight": 0.0}),
    control_text="lambda is 0, and Q is trained on the finished G, for as many steps and on batches as large",
    measure=ReadableCodes(),
    quick=scale("glyphs", 250, size=16, characters="017", batch_size=32, num_categories=3, num_continuous=0).requires(
        at_least(information=0.55)
    ),
    cpu=scale("mnist", 5000, size=16, batch_size=64, width=32).requires(
        at_least(information=2.2), at_least(code_accuracy=0.75, over="most"), at_least(slant=0.8, lean=1.0)
    ),
)
