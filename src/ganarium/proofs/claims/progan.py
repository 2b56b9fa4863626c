from ganarium.proofs.claim import ChangeOptions, Claim, at_most, scale
from ganarium.proofs.measures.timed_samples import TimedSampleQuality

# Steps of the control: as many as take the model's time. The model's took 14, 24, 42, 97 and 228 ms at 4, 8, 16,
# 32 and 64 pixels, 26, 46, 102 and 256 while they faded in, and one of the control 232 (medians in turns, on one core).
progan_growing = Claim(
    text="A network that grows is nearer to the data than the same network at full size, after equal time.",
    source="Karras et al. 2018, section 2 and figure 4",
    control=ChangeOptions({"first_size": 64}, num_steps=1070),
    control_text="all layers learn from the start, in 1,070 steps, which take the same processor time",
    measure=TimedSampleQuality(),
    cpu=scale(
        "lfw64",
        2800,
        size=64,
        width=16,
        latent_dim=64,
        stable_images=6400,
        fading_images=3200,
        lr=4e-3,
        num_controls=1,
    ).requires(at_most(frechet_distance=0.6)),
)
