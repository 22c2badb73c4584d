"""Weights on their way out: bucket after bucket, then what tells and proves them."""

from collections.abc import Iterator

import numpy as np

from redline.learner.engine import TrainingEngine
from redline.learner.publishing.bucket_layout import lay_out
from redline.learner.publishing.outgoing import outgoing
from redline.learner.publishing.outlets import NcclOutlet, Outlet
from redline.replay.records import BucketContent, BucketSpec, Int32, Probe, WeightUpdate

PROBE_TOKENS = 64


def publish(
    engine: TrainingEngine, version: int, outlet: Outlet | NcclOutlet, *, sender: bool = True
) -> Iterator[BucketContent | WeightUpdate]:
    """The content of each bucket, then the update that they make up.

    No more than a bucket is gathered at a time. All ranks go through it together; those that are
    not the `sender` yield nothing. An outlet that sends has no contents; see `send`.
    """
    leaving = outgoing(engine.policy)
    layouts = lay_out(leaving.shapes(), outlet.bucket_bytes)
    buckets: list[BucketSpec] = []
    for layout in layouts:
        if isinstance(outlet, NcclOutlet):
            buckets.append(BucketSpec(nbytes=layout.nbytes, checksum=""))
            continue
        parameters = leaving.of(layout)
        with engine.gathered(parameters):
            if not sender:
                continue
            bucket, content = outlet.hand_out(layout, parameters)
        buckets.append(bucket)
        yield content
        del content  # its memory is free for the next one
    probe = make_probe(engine)
    if sender:
        yield WeightUpdate(
            version=version,
            transport=outlet.transport,
            manifest=tuple(spec for layout in layouts for spec in layout.specs),
            buckets=tuple(buckets),
            adapter=leaving.adapter,
            probe=probe,
        )


def send(engine: TrainingEngine, outlet: NcclOutlet, sampler: str, *, sender: bool = True) -> None:
    """Send the buckets of the update that `publish` told of; all ranks together."""
    leaving = outgoing(engine.policy)
    for layout in lay_out(leaving.shapes(), outlet.bucket_bytes):
        parameters = leaving.of(layout)
        with engine.gathered(parameters):
            if sender:
                outlet.send(sampler, layout, parameters)


def probe_tokens(vocabulary: int) -> Int32:
    """The fixed probe prompt: tokens from all over the vocabulary, the same for every version."""
    return np.random.default_rng(0).integers(0, vocabulary, PROBE_TOKENS).astype(np.int32)


def make_probe(engine: TrainingEngine) -> Probe:
    """Score the probe prompt without autocast, in the type of the weights; all ranks together."""
    token_ids = probe_tokens(engine.policy.config.get_text_config().vocab_size)
    return Probe(token_ids=token_ids, logprobs=engine.plain_logprobs(token_ids))
