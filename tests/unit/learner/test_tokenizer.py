"""The tokenizer that tiny policies are made with, as it comes back from disk."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redline.learner.tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer(tiny_policy):
    from redline.learner.model import load_tokenizer

    return load_tokenizer(tiny_policy)


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False)


LINES = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="ab1 _=+>|#*\t()", max_size=30),
    st.sampled_from(["    return acc + 3", ">>>", " >>> x", "|x|", "### ", "", "   ", ">= 3"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=LINES)
def test_any_text_survives(tokenizer, text):
    assert tokenizer.decode(encode(tokenizer, text)) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=LINES.filter(lambda text: "\n" not in text))
def test_a_line_reads_the_same_in_a_state_and_in_a_command(tokenizer, content):
    shown = encode(tokenizer, f"3|{content}\n")
    written = encode(tokenizer, f"REPL 3 >>>{content}\n")
    prefix = encode(tokenizer, "REPL 3 >>>")
    assert written[: len(prefix)] == prefix
    assert written[len(prefix) :] == shown[len(encode(tokenizer, "3|")) :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab \n1|>", max_size=40))
def test_a_newline_is_always_its_own_token(tokenizer, text):
    newline = encode(tokenizer, "\n")
    assert len(newline) == 1
    assert encode(tokenizer, text).count(newline[0]) == text.count("\n")


def test_only_one_token_holds_a_newline(tokenizer):
    holding = [i for i in range(len(tokenizer)) if "\n" in tokenizer.decode([i])]
    assert holding == encode(tokenizer, "\n")


def test_digits_stand_alone(tokenizer):
    assert [tokenizer.decode([i]) for i in encode(tokenizer, "1234")] == list("1234")


@pytest.mark.parametrize("text", [">>>", " >>>", "***", "### ", "REPW ", "EXIT", "|", "    "])
def test_pieces_of_the_language_are_one_token(tokenizer, text):
    assert len(encode(tokenizer, text)) == 1


def test_special_tokens_come_first_and_are_never_added(tokenizer):
    specials = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert specials == (0, 1, 2)
    assert not set(specials) & set(tokenizer.encode("x = 1\n"))


def test_names_do_not_absorb_blanks(tokenizer):
    alone = encode(tokenizer, "acc")
    inside = encode(tokenizer, "x = acc + 3")
    assert alone == [i for i in inside if i in alone]


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 100, expected at least"):
        train_tokenizer(["x"], 100)
