"""Demonstrations as tokens: cut as supervised training cuts them, segment by segment."""

from collections.abc import Sequence

from redline.cluster.demos.made import Encode, EncodedTurns
from redline.cluster.errors import UserError, one_line
from redline.dsl.demonstrations import RenderedTurn


def open_encoder(policy: str) -> Encode:
    """The encoder with the tokenizer of a policy; UserError when there is none."""
    from redline.cluster.load import model_path
    from redline.learner.model import PolicyNotFound, load_tokenizer
    from redline.learner.sft import encode_demonstration

    try:
        tokenizer = load_tokenizer(model_path(policy))
    except (PolicyNotFound, ValueError) as error:
        raise UserError(f"--tokenizer {policy}: {one_line(error)}") from error

    def encode(turns: Sequence[RenderedTurn]) -> EncodedTurns:
        sequence = encode_demonstration(tokenizer, turns)
        return EncodedTurns(
            token_ids=tuple(sequence.token_ids.tolist()),
            is_action=tuple(sequence.is_action.tolist()),
        )

    return encode
