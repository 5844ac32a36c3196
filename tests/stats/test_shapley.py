"""Shapley values: the axioms, a game with a known answer, and what a sample says of its own error."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_site.stats.shapley import MAX_ENUMERATED, Floats, Masks, enumerated, sampled


def gloves(masks: Masks) -> Floats:
    """One left glove and two right ones: a pair is worth 1."""
    return np.asarray(masks[:, 0] & masks[:, 1:3].any(axis=1), np.float64)


def synergy(masks: Masks) -> Floats:
    """Players that are worth more together, and a fourth that is worth nothing."""
    a, b, c = (masks[:, i].astype(np.float64) for i in range(3))
    return 3.0 + 2 * a - b + 4 * a * b * c + a * c


def test_a_game_with_a_known_answer() -> None:
    assert enumerated(gloves, 3).values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_the_values_share_out_the_whole_and_a_dummy_gets_nothing() -> None:
    found = enumerated(synergy, 4)
    assert (found.base, found.pairs) == (3.0, 0)
    assert found.values.sum() == pytest.approx(float(synergy(np.ones((1, 4), bool))[0]) - 3.0)
    assert found.values[3] == 0
    assert found.values == pytest.approx([2 + 4 / 3 + 0.5, -1 + 4 / 3, 4 / 3 + 0.5, 0])


def test_a_sum_of_games_is_shared_as_their_sum() -> None:
    both = enumerated(lambda masks: gloves(masks) + synergy(masks), 4).values
    assert both == pytest.approx(enumerated(gloves, 4).values + enumerated(synergy, 4).values)


@pytest.mark.parametrize("players", [0, MAX_ENUMERATED + 1])
def test_more_players_than_fit_are_refused(players: int) -> None:
    with pytest.raises(ValueError, match=f"but got {players}"):
        enumerated(synergy, players)


def test_a_sample_adds_up_however_small_and_its_errors_are_honest() -> None:
    exact = enumerated(synergy, 4)
    small = sampled(synergy, 4, pairs=2)
    assert small.pairs == 2
    assert small.values.sum() == pytest.approx(exact.values.sum())
    far = []
    for seed in range(60):
        found = sampled(synergy, 4, pairs=30, seed=seed)
        far += [abs(v - e) / max(s, 1e-12) for v, e, s in zip(found.values, exact.values, found.errors, strict=True)][
            :3
        ]
    assert 0.9 < np.mean(np.array(far) < 1.96) < 0.99


def test_it_is_repeatable_and_ends_when_it_is_sure_or_out_of_time() -> None:
    assert sampled(synergy, 4, pairs=9, seed=5).values.tolist() == sampled(synergy, 4, pairs=9, seed=5).values.tolist()
    assert sampled(synergy, 4, pairs=500, secs=0.0).pairs == 2
    assert sampled(lambda masks: masks[:, 0].astype(np.float64), 4, pairs=500).pairs == 10
    assert 2 < sampled(synergy, 4, pairs=5_000, tolerance=0.05).pairs < 5_000
