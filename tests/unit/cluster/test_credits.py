"""When a batch may be leased, so that no group in flight grows too old."""

from redline.cluster.loop.credits import Credits


def credits(staleness, stored, *starts):
    in_flight = {f"g{number}": start for number, start in enumerate(starts)}
    return Credits(max_staleness=staleness, groups_per_step=2, stored=stored, in_flight=in_flight)


def test_a_batch_waits_for_what_the_next_version_would_make_too_old():
    assert not credits(1, 2, 4).batch_ready(5)
    assert credits(1, 2, 5).batch_ready(5)


def test_a_batch_waits_while_more_is_in_flight_than_later_batches_can_take_in_time():
    # Three groups of version 1 must be trained by version 3, whose batch has room for two.
    assert not credits(2, 2, 1, 1, 1).batch_ready(2)
    assert credits(2, 3, 1, 1).batch_ready(2)


def test_a_batch_needs_its_number_of_groups():
    assert not credits(2, 1).batch_ready(0)
    assert credits(0, 2).batch_ready(0)


def test_what_can_be_trained_in_time():
    credits = Credits(max_staleness=1, groups_per_step=2)
    assert credits.all_in_time([3, 3, 4, 4], 4)
    assert not credits.all_in_time([3, 3, 3], 4), "one step takes only two of them"
    assert not credits.all_in_time([4] * 5, 4)
    assert not credits.all_in_time([2], 4)
    assert credits.all_in_time([], 0)
