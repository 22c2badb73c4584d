"""Demonstrations are encoded piece by piece, with the loss where it belongs."""

import numpy as np

from redline.dsl.demonstrations import RenderedTurn
from redline.learner.model import load_tokenizer
from redline.learner.sft import encode_demonstration

TURNS = [
    RenderedTurn(state="1|x = 1\n***\n### ", action="REPL 1 >>>x = 2\n"),
    RenderedTurn(state="1|x = 2\n***\n### ", action="EXIT\n"),
]


def test_loss_lies_on_commands_only(tiny_policy):
    tokenizer = load_tokenizer(tiny_policy)
    sequence = encode_demonstration(tokenizer, TURNS)
    actions = tokenizer.decode(sequence.token_ids[sequence.is_action])
    assert actions == "REPL 1 >>>x = 2\nEXIT\n"
    np.testing.assert_array_equal(sequence.weights, sequence.is_action.astype(np.float32))


def test_pieces_are_tokenised_apart(tiny_policy):
    tokenizer = load_tokenizer(tiny_policy)
    expected = [tokenizer.bos_token_id]
    for turn in TURNS:
        for text in (turn.state, turn.action):
            expected += tokenizer.encode(text, add_special_tokens=False)
    assert encode_demonstration(tokenizer, TURNS).token_ids.tolist() == expected


def test_tool_tokens_get_the_given_weight_but_never_the_first(tiny_policy):
    sequence = encode_demonstration(load_tokenizer(tiny_policy), TURNS, 0.25)
    assert sequence.weights[0] == 0
    assert set(sequence.weights[1:][~sequence.is_action[1:]]) == {0.25}
    assert set(sequence.weights[sequence.is_action]) == {1.0}
