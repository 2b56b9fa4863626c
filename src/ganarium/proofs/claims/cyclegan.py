from ganarium.proofs.claim import ChangeOptions, Claim, at_least, at_most, scale
from ganarium.proofs.measures.cyclegan_cycle import CycleAndMap
from ganarium.proofs.measures.hidden_map import HiddenMap

WITHOUT_CYCLE = ChangeOptions({"cycle_weight": 0.0, "identity_weight": 0.0})
WITHOUT_CYCLE_TEXT = "the loss has no cycle term and no identity term: two plain GANs between the domains"

cyclegan_cycle = Claim(
    text="A translation there and back gives the image itself, and there its true partner in the other domain.",
    source="Zhu et al. 2017, section 3.2 and the ablation of section 5.1.4",
    control=WITHOUT_CYCLE,
    control_text=WITHOUT_CYCLE_TEXT,
    measure=CycleAndMap(),
    quick=scale(
        "scenes_unpaired", 250, size=16, batch_size=8, width=12, num_blocks=2, augment=False, lr=1e-3, patch_layers=1
    ).requires(at_most(cycle_error=0.22)),
    cpu=scale("mnist", 800, size=28, batch_size=4, width=16, num_blocks=2, augment=False, lr=1e-3).requires(
        at_most(cycle_error=0.08, map_error=0.07)
    ),
)

cyclegan_partner = Claim(
    text="The cycle ties a translation to its image: of ten, it is nearest to its true partner, whatever the hue.",
    source="Zhu et al. 2017, section 3.2 and the ablation of section 5.1.4",
    control=WITHOUT_CYCLE,
    control_text=WITHOUT_CYCLE_TEXT,
    measure=HiddenMap(),
    cpu=scale("scenes_unpaired", 1000, size=32, batch_size=4, width=12, num_blocks=3, augment=False, lr=1e-3).requires(
        at_least(corresponds=0.6)
    ),
)
