import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from redline.actors.tokens import PolicyTokenizer

from .fakes import BOS, EOS, ByteTokenizer, tokenizer


def test_only_the_first_state_gets_the_bos():
    made = tokenizer()
    assert made.encode_state("ab", first=True).tolist() == [BOS, 97, 98]
    assert made.encode_state("ab").tolist() == [97, 98]


def test_without_a_bos_nothing_is_prepended():
    class NoBos(ByteTokenizer):
        bos_token_id = None

    assert PolicyTokenizer(NoBos()).encode_state("a", first=True).tolist() == [97]


def test_cached_states_cannot_be_changed_by_a_caller():
    made = tokenizer()
    state = made.encode_state("ab")
    assert state is made.encode_state("ab")
    assert not state.flags.writeable
    assert state.dtype == np.int32


def test_an_action_ends_at_its_first_newline_and_loses_special_tokens():
    made = tokenizer()
    assert made.decode_action([*b"EXIT\nmore"]) == "EXIT"
    assert made.decode_action([*b"EXIT", EOS]) == "EXIT"


def test_every_token_with_a_newline_stops_and_so_does_the_end_of_text():
    class Merged(ByteTokenizer):
        def __len__(self):
            return 260

        def decode(self, token_ids, *, skip_special_tokens):
            extra = {258: ")\n\n", 259: "\\n"}
            return "".join(
                extra.get(i) or super(Merged, self).decode([i], skip_special_tokens=False)
                for i in token_ids
            )

    made = PolicyTokenizer(Merged())
    assert made.newline_token_ids == {10, 258}
    assert made.stop_token_ids == (10, EOS, 258)


@given(st.lists(st.integers(0, 257)))
def test_ends_line_looks_at_the_last_token_only(ids):
    assert tokenizer().ends_line(ids) == (len(ids) > 0 and ids[-1] == 10)
