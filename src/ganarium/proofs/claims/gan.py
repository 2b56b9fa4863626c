from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.fixed_fakes import MemoryGap
from ganarium.proofs.measures.likelihood import ParzenLikelihood
from ganarium.proofs.measures.samples import JointColours, ModelPerChannel

gan_colours = Claim(
    text="G draws the channels of a colour image jointly: hues and the channels' covariance are those of the data.",
    source="Goodfellow et al. 2014, the colour images of section 5 (CIFAR-10)",
    control=ModelPerChannel(),
    control_text="three grey GANs with the same settings, one for each channel",
    measure=JointColours(),
    cpu=scale("mnist", 4000, size=16, network="dcgan", width=16, lr=6e-4).requires(
        at_most(covariance_error=0.2, hue_error=0.25), at_least(cells=60)
    ),
)

gan_memory = Claim(
    text="On a hundred photographs DiffAugment keeps D from taking unseen photographs for fakes.",
    source="Zhao et al. 2020 (DiffAugment), figure 1: D's accuracy on training and on held-out images",
    control=ChangeOptions({"augment": "none"}),
    control_text="D sees images as they are",
    measure=MemoryGap(),
    cpu=scale(
        "lfw64",
        200,
        size=32,
        network="dcgan",
        norm="none",
        width=32,
        lr=1e-3,
        beta2=0.99,
        batch_size=32,
        augment="diff",
    ).requires(at_most(memory_gap=0.7)),
)

gan_saturation = Claim(
    text="While D tells samples from data with ease, -log D(G(z)) still teaches G, and log(1 - D(G(z))) does not.",
    source="Goodfellow et al. 2014, section 3, the paragraph under algorithm 1",
    paper="MNIST Parzen window: 225 +- 2 nats, trained for far longer",
    control=ChangeOptions({"loss": "minimax"}),
    control_text="G has the minimax loss log(1 - D(G(z)))",
    measure=ParzenLikelihood(),
    quick=scale("ring", 500, num_discriminator_steps=5).requires(at_most(wasserstein_distance=1.4), at_least(modes=2)),
    cpu=scale("mnist", 2600, batch_size=64, recipe="modern", width=512, num_discriminator_steps=2, lr=5e-4).requires(
        at_least(parzen_nats=-30.0), at_most(frechet_distance=41.0)
    ),
)
