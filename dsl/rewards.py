"""The reward of one turn (Rainone et al., arXiv 2507.05065, section on RL)."""

from redline.dsl.settings import RewardSettings


def score_turn(
    *,
    malformed: bool,
    impossible: bool,
    newly_solved: bool,
    is_exit: bool,
    passing: bool,
    last_turn: bool,
    settings: RewardSettings,
    truncated: bool = False,
) -> float:
    """Add up what one turn earns.

    malformed:    the action did not parse.
    impossible:   the command did not fit the program.
    newly_solved: all tests pass for the first time in the episode; never true when the
                  initial program passed already.
    is_exit:      the command was EXIT.
    passing:      the program after this turn passes all tests.
    last_turn:    the episode ends with this turn, for whatever reason.
    truncated:    the reason is that the context is full.

    Every turn gets `per_turn`. The first four exclude each other and bring `malformed`,
    `impossible`, `solved`, or, for EXIT while a test fails, `wrong_exit`. An episode that ends
    in anything but EXIT loses `no_exit` on its last turn as well, or `truncated` if its context
    is full.

    Raises ValueError for flags that contradict each other.
    """
    if malformed + impossible + newly_solved + is_exit > 1:
        raise ValueError(
            f"turn: got malformed={malformed}, impossible={impossible}, "
            f"newly_solved={newly_solved}, is_exit={is_exit}, expected at most one of them"
        )
    if newly_solved and not passing:
        raise ValueError("turn: got newly_solved=True with passing=False, expected both")
    terms = (
        (True, settings.per_turn),
        (malformed, settings.malformed),
        (impossible, settings.impossible),
        (newly_solved, settings.solved),
        (is_exit and not passing, settings.wrong_exit),
        (last_turn and not is_exit and not truncated, settings.no_exit),
        (last_turn and not is_exit and truncated, settings.truncated),
    )
    return sum((reward for earned, reward in terms if earned), 0.0)
