"""The evidence: claims about each model, held to thresholds beside a control that must miss them.

`ganarium prove MODEL` runs them. A claim is calibrated on seeds 100 to 102, its thresholds are committed, and it is
judged on seeds 0 to 2, each run once. `claim` says what a claim is made of; `claims` has them, `measures` what they
measure, `changes` what their controls change.
"""
