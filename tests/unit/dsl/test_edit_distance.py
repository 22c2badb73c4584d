"""The bit-parallel distance against the textbook's table."""

from hypothesis import given
from hypothesis import strategies as st

from redline.dsl.edit_distance import edit_distance

texts = st.text("ab \n", max_size=14)


def by_the_textbook(first, second):
    row = list(range(len(second) + 1))
    for done, a in enumerate(first, start=1):
        diagonal, row[0] = row[0], done
        for column, b in enumerate(second, start=1):
            cheapest = min(row[column] + 1, row[column - 1] + 1, diagonal + (a != b))
            diagonal, row[column] = row[column], cheapest
    return row[-1]


@given(texts, texts)
def test_it_is_the_levenshtein_distance(first, second):
    assert edit_distance(first, second) == by_the_textbook(first, second)


def test_texts_longer_than_a_machine_word():
    first = "".join("abcd"[(n * n) % 4 : (n * n) % 4 + 1] for n in range(300))
    second = first[7:150] + "xyz" + first[160:] + "tail"
    assert edit_distance(first, second) == by_the_textbook(first, second)
