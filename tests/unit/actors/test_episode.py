import asyncio
from dataclasses import replace

import numpy as np
import pytest

from redline.actors.episode import EpisodeId, EpisodeRules, run_episode
from redline.actors.errors import EngineError
from redline.actors.judging import TaskJudge
from redline.actors.settings import SamplingSettings
from redline.dsl.prompts import render_first_state, render_state
from redline.dsl.settings import PromptSettings, RewardSettings
from redline.replay.records import Trajectory, TrajectoryStatus
from redline.sandbox.records import Limits

from .fakes import BOS, BROKEN, FIXED, FakeSandbox, ScriptedPolicy, task, tokenizer

FIX = "REPL 2 >>>    return a\n"
RULES = EpisodeRules(
    max_turns=4,
    max_context=2000,
    sampling=SamplingSettings(max_command_tokens=40),
    prompts=PromptSettings(),
    rewards=RewardSettings(),
)


def play(
    *actions: str, sandbox: FakeSandbox | None = None, policy=None, rules=RULES, **changes
) -> Trajectory:
    sandbox = sandbox or FakeSandbox(good=[FIXED])
    broken = task(**changes)
    return asyncio.run(
        run_episode(
            broken,
            generate=policy or ScriptedPolicy([actions]),
            judge=TaskJudge(broken, sandbox, Limits()),
            tokenizer=tokenizer(),
            rules=rules,
            identity=EpisodeId(group_id="g", sample_index=0, worker="w"),
        )
    )


def test_a_repair_and_exit_is_solved_and_rewarded_once():
    trajectory = play(FIX, "EXIT\n")
    assert trajectory.status is TrajectoryStatus.SOLVED
    assert trajectory.solved
    assert [t.reward for t in trajectory.turns] == [1.0, 0.0]
    assert [t.command for t in trajectory.turns] == ["REPL 2 >>>    return a", "EXIT"]
    assert trajectory.turns[0].verdict is not None
    assert trajectory.turns[1].verdict is None, "EXIT executes nothing"
    assert trajectory.turns[0].feedback == ""
    assert trajectory.trajectory_id == "g/0"
    assert trajectory.initial_program == BROKEN


def test_the_context_is_the_sum_of_states_and_sampled_tokens():
    policy = ScriptedPolicy([[FIX, "EXIT\n"]])
    trajectory = play(policy=policy)
    first = render_first_state(task(), "f(1) returned 2, expected 1", PromptSettings())
    second = render_state(FIXED, "", PromptSettings())
    assert policy.prompts[0].tolist() == [BOS, *first.encode()]
    assert policy.prompts[1].tolist() == [BOS, *(first + FIX + second).encode()]
    parts = [x for t in trajectory.turns for x in (t.state_token_ids, t.action_token_ids)]
    assert np.concatenate(parts).tolist()[: len(policy.prompts[1])] == policy.prompts[1].tolist()


def test_exit_while_a_test_fails():
    trajectory = play("EXIT\n", rules=replace(RULES, rewards=RewardSettings(wrong_exit=-0.25)))
    assert trajectory.status is TrajectoryStatus.EXITED
    assert not trajectory.solved
    assert trajectory.turns[0].reward == -0.25


def test_malformed_and_impossible_commands_cost_a_penalty_and_leave_the_program():
    trajectory = play("FOO\n", "DELL 9\n", "EXIT\n")
    malformed, impossible, _ = trajectory.turns
    assert malformed.command is None
    assert malformed.error == malformed.feedback
    assert malformed.error.startswith("error: ")
    assert impossible.command == "DELL 9"
    assert "no line 9" in impossible.error
    assert malformed.program == impossible.program == BROKEN
    assert malformed.reward == impossible.reward == -0.5
    assert malformed.verdict is None


def test_an_edit_that_changes_nothing_is_not_executed():
    sandbox = FakeSandbox()
    trajectory = play("REPL 1 >>>def f(a):\n", "EXIT\n", sandbox=sandbox)
    assert sandbox.programs == [BROKEN]
    assert trajectory.turns[0].verdict is None
    assert trajectory.turns[0].feedback == "f(1) returned 2, expected 1"


def test_going_back_to_a_known_program_gives_its_verdict_without_running_it():
    sandbox = FakeSandbox(good=[FIXED])
    back = "REPL 2 >>>    return a + 1\n"
    trajectory = play(FIX, back, FIX, "EXIT\n", sandbox=sandbox)
    assert sandbox.programs == [BROKEN, FIXED]
    assert [t.verdict is None for t in trajectory.turns] == [False, False, False, True]
    assert [t.reward for t in trajectory.turns] == [1.0, 0.0, 0.0, 0.0], "solved counts once"


def test_the_turn_limit_costs_the_missing_exit():
    trajectory = play("DELL 9\n", "DELL 9\n", "DELL 9\n", FIX)
    assert trajectory.status is TrajectoryStatus.TURN_LIMIT
    assert trajectory.solved, "the final program passes, EXIT or not"
    assert [t.reward for t in trajectory.turns] == [-0.5, -0.5, -0.5, 0.5]


def test_a_cut_command_is_malformed_even_if_its_beginning_parses():
    long = "REPL 2 >>>" + "x" * 100
    trajectory = play(long, "EXIT\n")
    turn = trajectory.turns[0]
    assert turn.command is None
    assert "40 tokens" in turn.error
    assert turn.program == BROKEN
    assert bytes(trajectory.turns[1].state_token_ids.astype(np.uint8)).startswith(b"\n1|def")


def test_a_command_cut_under_the_grammar_is_closed_by_the_editor():
    cut = "REPW 2 >>>" + "x" * 100
    sampling = replace(RULES.sampling, grammar=True)
    trajectory = play(cut, "EXIT\n", rules=replace(RULES, sampling=sampling))
    turn, following = trajectory.turns
    assert turn.command == cut[:40] + " >>>"
    assert turn.action_text == cut[:40], "what was sampled stays as it was"
    assert len(turn.action_token_ids) == 40
    assert bytes(following.state_token_ids.astype(np.uint8)).startswith(b" >>>\n1|def")


def test_a_full_context_truncates_and_costs_the_missing_exit():
    rules = replace(RULES, max_context=170)
    trajectory = play(FIX, "EXIT\n", rules=rules)
    assert trajectory.status is TrajectoryStatus.TRUNCATED
    assert len(trajectory.turns) == 1
    assert trajectory.turns[0].reward == 0.5


def test_how_a_full_context_is_rewarded_is_a_setting():
    rewards = RewardSettings(truncated=0.25, no_exit=-9.0)
    trajectory = play(FIX, "EXIT\n", rules=replace(RULES, max_context=170, rewards=rewards))
    assert trajectory.status is TrajectoryStatus.TRUNCATED
    assert trajectory.turns[0].reward == 1.25


def test_a_task_that_does_not_fit_at_all_has_no_turns():
    trajectory = play("EXIT\n", rules=replace(RULES, max_context=60))
    assert trajectory.status is TrajectoryStatus.TRUNCATED
    assert trajectory.turns == ()
    assert trajectory.oldest_version == -1


def test_an_infrastructure_error_is_retried_and_does_not_show():
    trajectory = play(FIX, "EXIT\n", sandbox=FakeSandbox(good=[FIXED], fail_first=1))
    assert trajectory.status is TrajectoryStatus.SOLVED


def test_without_a_verdict_the_episode_is_aborted_and_not_scored():
    trajectory = play(FIX, "EXIT\n", sandbox=FakeSandbox(always_fail=FIXED))
    assert trajectory.status is TrajectoryStatus.ABORTED
    assert not trajectory.solved
    assert trajectory.turns == ()


def test_a_request_that_was_cut_off_aborts_the_episode():
    policy = ScriptedPolicy([[FIX]])
    policy.finish_reason = "abort"
    assert play(policy=policy).status is TrajectoryStatus.ABORTED


def test_an_unexpected_error_costs_only_the_episode():
    trajectory = play(FIX)  # the script is too short: IndexError in the policy
    assert trajectory.status is TrajectoryStatus.ABORTED
    assert len(trajectory.turns) == 1


def test_an_engine_error_is_not_swallowed():
    async def dead(*_):
        raise EngineError("gone")

    with pytest.raises(EngineError, match="gone"):
        play(policy=dead)


def test_feedback_can_hide_what_was_expected():
    rules = replace(RULES, prompts=PromptSettings(show_expected=False))
    policy = ScriptedPolicy([["EXIT\n"]])
    play(policy=policy, rules=rules)
    assert b"expected" not in bytes(policy.prompts[0][1:].astype(np.uint8))


def test_a_program_that_passes_from_the_start_earns_nothing():
    trajectory = play("EXIT\n", sandbox=FakeSandbox(good=[BROKEN]))
    assert trajectory.status is TrajectoryStatus.SOLVED
    assert trajectory.total_reward == 0.0
