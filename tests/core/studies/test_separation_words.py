"""What a separation study says in words stays true whichever way its numbers fall."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from core.studies.separation import words

CONTRASTS = ("model", "content", "response")


def numbers(share, low, high, random, ceiling, own, along):
    """A summary of one block with these shares."""
    secure = [{"balanced_accuracy": value, "interval": [value - 0.02, min(1, value + 0.02)]} for value in (own, along)]
    row = {
        "balanced_accuracy": share,
        "interval": [low, high],
        "random": [0.5, random],
        "random_mean": 0.55,
        "ceiling": ceiling,
        "norm": 2.0,
    }
    return {
        "positive": "A",
        "negative": "B",
        "organism": "insecure",
        "secure_organism": "secure",
        "n_held_out": 100,
        "blocks": [row],
        "secure": {"own": secure[:1], "on_direction": secure[1:], "shift": [1.0]},
    }


shares = st.floats(0.0, 1.0)


@given(shares, st.floats(0, 0.2), shares, shares, shares, shares, st.sampled_from(CONTRASTS))
@settings(max_examples=300, deadline=None)
def test_the_words_stay_true_whichever_way_the_numbers_fall(share, half, random, ceiling, own, along, contrast):
    low, high = max(0.0, share - half), min(1.0, share + half)
    summary = {**numbers(share, low, high, random, ceiling, own, along), "contrast": contrast}
    said = words.headline(summary, 0)
    read = words.reading(summary, 0)
    assert ("does not tell" in said) == (low <= 0.5)
    assert ("worse than a coin" in said) == (high < 0.5) == ("worse than a coin" in read)
    assert ("no better than a coin" in said) == (low <= 0.5 <= high) == ("no better than a coin" in read)
    assert ("random directions" in said) == (low > 0.5)
    assert ("so do some random directions" in said) == (low > 0.5 and random >= share - words.AS_GOOD)
    assert ("lie so far apart" in read) <= (share >= 0.9 and random >= share - words.AS_GOOD)
    assert ("holds nearly all" in read) <= (abs(ceiling - share) < 0.02)
    assert ("points less" in read) == (100 * (ceiling - share) < -2)
    if contrast != "model":
        assert "secure control" not in said
    elif "so does the secure control" in said:
        assert own - 0.02 > 0.5
        assert own >= share - words.AS_GOOD
    control = words.reading_of_secure(summary, 0)
    if contrast == "response":
        assert ("whoever writes it" in control) == (along - 0.02 > 0.5)
    else:
        assert ("does not separate from its base" in control) == (own - 0.02 <= 0.5)


def test_a_direction_without_length_has_words_too():
    summary = {**numbers(1, 0.9, 1, 0.6, 1, 1, 1), "contrast": "model"}
    summary["blocks"][0]["norm"] = 0.0
    assert "its shift is 1 long." in words.reading_of_secure(summary, 0)
