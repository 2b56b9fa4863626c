"""The evidence: one small file per claim about a model, with the thresholds it is held to and a control that must fail.

`ganarium prove MODEL` runs them. A claim is calibrated on seeds 100 to 102, its thresholds are committed, and it is
judged on seeds 0 to 2, each run once. See `claims` for what a claim is made of.
"""
