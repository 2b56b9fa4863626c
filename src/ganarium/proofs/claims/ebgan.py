from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.samples import CodesApart, SampleQuality

ebgan_margin = Claim(
    text="D holds the energy of fakes a margin above that of data, and this teaches G what data look like.",
    source="Zhao et al. 2016, section 2.1, equation 1",
    control=ChangeOptions({"margin": 0.0}),
    control_text="the margin is 0: D is a plain auto-encoder, and G seeks the images that it rebuilds best",
    measure=SampleQuality(num_held_out=1000),
    quick=scale(
        "glyphs", 500, size=16, characters="digits", width=16, pull_away_weight=0.1, num_measuring_steps=300
    ).requires(at_least(coverage=0.15)),
)

ebgan_pull_away = Claim(
    text="Without a margin all samples become the one that D rebuilds best; the pull-away term keeps them apart.",
    source="Zhao et al. 2016, section 2.4",
    control=ChangeOptions({"pull_away_weight": 0.0}),
    control_text="the same without the pull-away term: EBGAN with a margin of 0",
    measure=CodesApart(num_held_out=1000),
    runs_beside={
        "with_margin": ChangeOptions({"margin": None}),
        "with_margin_alone": ChangeOptions({"margin": None, "pull_away_weight": 0.0}),
    },
    beside_text="with_margin, with_margin_alone: the margin as it is measured, with the term and without.",
    quick=scale("glyphs", 1000, characters="digits", size=16, margin=0.0, pull_away_weight=0.1, width=16).requires(
        at_most(squared_cosine=0.25), at_least(coverage=0.02)
    ),
    cpu=scale("fashion_mnist", 2000, size=16, margin=0.0, pull_away_weight=0.1, width=16).requires(
        at_most(squared_cosine=0.25), at_least(coverage=0.05)
    ),
)
