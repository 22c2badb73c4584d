"""What the workers of a run are told of its configuration."""

from redline.cluster.fleet import _make_learner
from redline.cluster.load import load_config


class RecordingCluster:
    """Remembers what an actor would have been made with."""

    def actor(self, cls, **options):
        self.options = options


def test_the_learner_scores_the_distribution_that_is_sampled():
    overrides = [
        "rollout.sampling.temperature=0.7",
        "rollout.sampling.top_p=0.9",
        "rollout.sampling.grammar=true",
    ]
    cluster = RecordingCluster()
    _make_learner(cluster, load_config("demo", overrides), "policy")
    arguments = cluster.options["arguments"]
    assert (arguments["temperature"], arguments["top_p"], arguments["grammar"]) == (0.7, 0.9, True)


def test_each_rank_of_the_learner_is_an_actor_of_its_own():
    config = load_config("demo", ["learner.ranks=2"])
    made = {}

    class Cluster:
        def actor(self, cls, **options):
            made[options["name"]] = options["arguments"]["rank"]
            return options["name"]

    assert list(_make_learner(Cluster(), config, "policy")) == ["learner-0", "learner-1"]
    assert made == {"learner-0": 0, "learner-1": 1}
