"""Whether two sets of groups have episodes of the same lengths: permutation tests.

Groups, not episodes, are exchanged: the episodes of a group share a task.
"""

import numpy as np


def distance(these, those):
    """Kolmogorov-Smirnov's: largest difference of the distribution functions of two samples."""
    these, those = np.sort(these), np.sort(those)
    points = np.union1d(these, those)
    below = np.searchsorted(these, points, side="right") / len(these)
    return float(np.max(np.abs(below - np.searchsorted(those, points, side="right") / len(those))))


def p_of_equal_lengths(these, those, rounds=500, seed=0):
    """Chance of a distance as large as between these groups' lengths, if there is no difference.

    Both are lists of groups, each a list of lengths.
    """
    rng = np.random.default_rng(seed)
    seen = distance(np.concatenate(these), np.concatenate(those))
    groups = [*these, *those]
    as_large = 0
    for _ in range(rounds):
        order = rng.permutation(len(groups))
        one = np.concatenate([groups[i] for i in order[: len(these)]])
        other = np.concatenate([groups[i] for i in order[len(these) :]])
        as_large += distance(one, other) >= seen - 1e-12
    return (as_large + 1) / (rounds + 1)


def p_of_equal_means(these, those, rounds=2000, seed=0):
    """The same for the mean length, of groups that come in pairs: one task, sampled in both runs.

    By random signs of the differences: what the tasks have to do with it is left out.
    """
    pairs = zip(these, those, strict=True)
    differences = np.array([np.mean(one) - np.mean(other) for one, other in pairs])
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (rounds, len(differences)))
    as_large = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9
    return (as_large.sum() + 1) / (rounds + 1)
