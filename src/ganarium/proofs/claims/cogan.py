from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.cogan_pairs import PairsOfDigits
from ganarium.proofs.measures.domain_classifier import SOURCE_ALONE, OneDomain, TargetAccuracy, by_first_domain

cogan_pairs = Claim(
    text="Two generators that share their first layers draw the same digit, and learn it without a single pair.",
    source="Liu and Tuzel 2016, sections 3 and 4",
    control=ChangeOptions({"share": False}),
    control_text="nothing is shared but z: two GANs",
    measure=PairsOfDigits(),
    cpu=scale(
        "mnist+mnist_negative", 700, size=28, width=16, discriminator_width=12, lr=1e-3, latent_dim=32, batch_size=32
    ).requires(at_least(same_digit=0.5), at_most(commonest_class=0.5)),
)

cogan_adapt = Claim(
    text="With the labels of one domain, shared layers make a classifier of the other, whose labels are not told.",
    source="Liu and Tuzel 2016, section 4.2",
    paper="prints accuracies from MNIST to USPS, not quoted here since we could not check them",
    control=OneDomain("D", by_first_domain),
    control_text=SOURCE_ALONE,
    measure=TargetAccuracy(),
    runs_beside={"target_alone": OneDomain("D", by_first_domain, target=True)},
    beside_text="They are the bounds of the adaptation.",
    cpu=scale(
        "mnist+usps", 2200, size=28, adapt=True, width=16, discriminator_width=12, lr=1e-3, latent_dim=32, batch_size=32
    ).requires(at_least(accuracy=0.75), gain="accuracy"),
)
