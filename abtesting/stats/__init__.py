"""Pure statistics of experiments: assignment, tallies, inference, sample ratio, power, guardrails, verdict."""
