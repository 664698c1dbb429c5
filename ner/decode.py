"""From emissions to valid IOB2: Viterbi paths, exact probabilities, span confidences.

One lattice serves every architecture. A CRF brings learned transitions; a softmax model is a CRF
whose transitions are all zero. Transitions that IOB2 forbids have probability zero in both, so only
valid sequences can come out, and every probability is exact under the model given validity.

All functions work on batches ``[batch, time, tags]`` padded on the right. The tag order is that of
``ner.tags.tag_names``: ``O``, then ``B-x`` and ``I-x`` for each label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Far below any real score, far above overflow when added up.
FORBIDDEN = -1e9
# No score counts as more than this much worse than its best rival: keeps products above zero.
_FLOOR = -60.0
# Sums are brought back to 1 every so many steps: each may shrink them by two floors, and e^-480 is a double.
_RESCALE = 4
# What rounding may add to a probability must not decide.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Scores of starting with a tag, going from one tag to the next, and ending with a tag."""

    start: Floats
    matrix: Floats
    end: Floats

    @property
    def tags(self) -> int:
        """How many tags there are."""
        return len(self.start)

    @classmethod
    def free(cls, labels: int) -> Transitions:
        """No preferences: every valid sequence is scored by its emissions alone."""
        tags = 1 + 2 * labels
        return cls(*masked(np.zeros(tags), np.zeros((tags, tags)), np.zeros(tags)))

    @classmethod
    def learned(cls, start: Floats, matrix: Floats, end: Floats) -> Transitions:
        """Learned scores, with what IOB2 forbids masked."""
        return cls(*masked(start, matrix, end))

    def scaled(self, temperature: float) -> Transitions:
        """The same preferences at another temperature."""
        return Transitions.learned(
            self.start / temperature, self.matrix / temperature, self.end / temperature
        )


def valid_transitions(tags: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may start a sequence, and which may follow which: ``[from, to]``."""
    start = np.ones(tags, dtype=bool)
    start[2::2] = False
    matrix = np.ones((tags, tags), dtype=bool)
    matrix[:, 2::2] = False
    for begin in range(1, tags, 2):
        matrix[begin : begin + 2, begin + 1] = True
    return start, matrix


def masked(start: Floats, matrix: Floats, end: Floats) -> tuple[Floats, Floats, Floats]:
    """The scores in double precision, with ``FORBIDDEN`` where IOB2 says so."""
    may_start, may_follow = valid_transitions(len(start))
    return (
        np.where(may_start, start, FORBIDDEN).astype(np.float64),
        np.where(may_follow, matrix, FORBIDDEN).astype(np.float64),
        np.asarray(end, dtype=np.float64),
    )


def viterbi(emissions: NDArray[np.floating], lengths: Ints, transitions: Transitions) -> Ints:
    """The best valid tag sequences ``[batch, time]``; what lies beyond a length is 0."""
    scores = _by_time(emissions)
    time, batch, tags = scores.shape
    best = np.empty_like(scores)
    np.add(transitions.start, scores[0], out=best[0])
    options = np.empty((batch, tags, tags))
    for step in range(1, time):
        np.add(best[step - 1][:, :, None], transitions.matrix, out=options)
        np.maximum.reduce(options, axis=1, out=best[step])
        best[step] += scores[step]
    # No pointers were kept: only along the path is asked again which tag came before.
    by_target = _weights(transitions, 1.0).by_target
    rows, shortest = np.arange(batch), int(lengths.min())
    tag = (best[lengths - 1, rows] + transitions.end).argmax(axis=1)
    last = tag
    paths = np.zeros((batch, time), dtype=np.int64)
    for step in range(time - 1, -1, -1):
        if step < time - 1:
            tag = (best[step] + by_target[tag]).argmax(axis=1)
            if step >= shortest - 1:
                tag = np.where(step < lengths - 1, tag, last)
        paths[:, step] = tag
    if shortest < time:
        paths[np.arange(time)[None, :] >= lengths[:, None]] = 0
    return paths


def path_scores(
    emissions: NDArray[np.floating], lengths: Ints, paths: Ints, transitions: Transitions
) -> Floats:
    """The score of one tag sequence for each row."""
    batch, time, _ = emissions.shape
    inside = np.arange(time)[None, :] < lengths[:, None]
    rows = np.arange(batch)
    scores = emissions[rows[:, None], np.arange(time), paths].astype(np.float64)
    scores[:, 1:] += transitions.matrix[paths[:, :-1], paths[:, 1:]]
    total = (scores * inside).sum(axis=1)
    total += transitions.start[paths[:, 0]] + transitions.end[paths[rows, lengths - 1]]
    return np.asarray(total, dtype=np.float64)


class Lattice:
    """All valid sequences of a batch with their probabilities (forward-backward, rescaled).

    Inside, arrays are ``[time, batch, tags]``: a step is one block of memory, and a short sentence costs
    little more than the calls. What they hold beyond a row's length means nothing and is never used.
    """

    def __init__(
        self,
        emissions: NDArray[np.floating],
        lengths: Ints,
        transitions: Transitions,
        *,
        temperature: float = 1.0,
    ) -> None:
        self.lengths = lengths
        self._weights = _weights(transitions, temperature)
        self.transitions = self._weights.transitions
        self.emissions = np.asarray(emissions, dtype=np.float64) / temperature
        scores = _by_time(self.emissions)
        self._peak = scores.max(axis=2)
        self._emit = np.exp(np.maximum(scores - self._peak[:, :, None], _FLOOR))
        time, batch, _ = scores.shape
        self._last = (lengths - 1, np.arange(batch))
        self._forward = np.empty_like(self._emit)
        self._scale = np.ones((time, batch))
        self._run_forward()

    def _run_forward(self) -> None:
        emit, forward, step = self._emit, self._forward, self._weights.step
        np.multiply(self._weights.start, emit[0], out=forward[0])
        for place in range(1, len(emit)):
            state = forward[place]
            np.matmul(forward[place - 1], step, out=state)
            state *= emit[place]
            if not place % _RESCALE:
                np.add.reduce(state, axis=1, out=self._scale[place])
                state /= self._scale[place][:, None]
        self._final = (forward[self._last] * self._weights.end).sum(axis=1)

    @cached_property
    def log_partition(self) -> Floats:
        """The logarithm of the summed scores of all valid sequences, for each row."""
        inside = np.arange(len(self._emit))[:, None] < self.lengths
        steps = (np.log(self._scale) + self._peak) * inside
        moves = self.transitions
        total = steps.sum(axis=0) + np.log(self._final) + moves.start.max() + moves.end.max()
        return np.asarray(total + moves.matrix.max() * (self.lengths - 1), dtype=np.float64)

    def best_paths(self) -> tuple[Ints, Floats]:
        """The best valid tag sequence of each row, and its log-probability.

        Take the likeliest tag of each position. Any other sequence has another tag somewhere, and so is at
        most as likely as that tag is there. Where the likeliest tags together are likelier than every tag
        not taken, they are the best sequence, and nothing needs to be searched: so it is with most sentences.
        """
        marginals = self._forward * self.backward
        paths = marginals.argmax(axis=2)
        np.put_along_axis(marginals, paths[:, :, None], 0.0, axis=2)
        inside = np.arange(len(paths))[:, None] < self.lengths
        rivals = np.where(inside, marginals.max(axis=2), 0.0).max(axis=0) / self._final
        paths = np.where(inside, paths, 0).T
        likelihoods = self.log_probabilities(paths)
        if (doubtful := np.flatnonzero(np.exp(likelihoods) <= rivals + _ROUNDING)).size:
            lengths = self.lengths[doubtful]
            emissions = self.emissions[doubtful, : lengths.max()]
            paths[doubtful] = 0
            paths[doubtful, : lengths.max()] = viterbi(emissions, lengths, self.transitions)
            likelihoods = self.log_probabilities(paths)
        return paths, likelihoods

    def log_probabilities(self, paths: Ints) -> Floats:
        """The log-probability of one tag sequence for each row."""
        scores = path_scores(self.emissions, self.lengths, paths, self.transitions)
        return np.minimum(scores - self.log_partition, 0.0)

    @cached_property
    def backward(self) -> Floats:
        """Scaled sums over everything that may follow each position, ``[time, batch, tags]``."""
        emit, back = self._emit, self._weights.back
        backward: Floats = np.empty_like(emit)
        time, shortest = len(emit), int(self.lengths.min())
        backward[time - 1] = self._weights.end
        for place in range(time - 2, -1, -1):
            state = backward[place]
            np.matmul(backward[place + 1] * emit[place + 1], back, out=state)
            if not (place + 1) % _RESCALE:
                state /= self._scale[place + 1][:, None]
            if place >= shortest - 1:
                state[self.lengths - 1 == place] = self._weights.end
        return backward

    def token_probabilities(self) -> Floats:
        """The probability of every tag at every position, ``[batch, time, tags]``."""
        shares = self._forward * self.backward / self._final[:, None]
        return np.asarray(shares.transpose(1, 0, 2))

    def span_probabilities(self, spans: Spans) -> Floats:
        """For each span, the probability that exactly its tokens are an entity of each label (labels in
        order), and last that all of them are outside: ``[spans, labels + 1]``."""
        emit, scale, weights = self._emit, self._scale, self._weights
        rows, first, last = spans
        entity = self._forward[first, rows, 1::2]
        outside = self._forward[first, rows, 0]
        size = last - first
        for step in range(1, int(size.max(initial=0)) + 1):
            longer = np.flatnonzero(size >= step)
            row, place = rows[longer], first[longer] + step
            shrunk = scale[place, row]
            carry = weights.begin_on if step == 1 else weights.stay_on
            entity[longer] *= carry * emit[place, row, 2::2] / shrunk[:, None]
            outside[longer] *= weights.step[0, 0] * emit[place, row, 0] / shrunk
        outside *= self.backward[last, rows, 0]
        self._stop(entity, spans, np.flatnonzero(size == 0), tag=1, carry=weights.begin_on)
        self._stop(entity, spans, np.flatnonzero(size > 0), tag=2, carry=weights.stay_on)
        found = np.concatenate([entity, outside[:, None]], axis=1) / self._final[rows, None]
        return np.asarray(np.clip(found, 0.0, 1.0, out=found))

    def _stop(self, entity: Floats, spans: Spans, chosen: Ints, *, tag: int, carry: Floats) -> None:
        """Let the chosen entities end: their last tags are every second one from ``tag`` on."""
        if not chosen.size:
            return
        rows, last = spans.rows[chosen], spans.last[chosen]
        ends = last == self.lengths[rows] - 1
        following = np.where(ends, last, last + 1)
        ahead = self._emit[following, rows] * self.backward[following, rows]
        ahead /= self._scale[following, rows, None]
        # What follows must not carry the entity on.
        on = ahead @ self._weights.step[tag::2].T - carry * ahead[:, 2::2]
        entity[chosen] *= np.where(ends[:, None], self._weights.end[tag::2], on)


class Spans(NamedTuple):
    """Tokens ``first..last`` of the row of each entity."""

    rows: Ints
    first: Ints
    last: Ints


def spans_of(paths: Ints) -> Spans:
    """The entities of valid tag sequences ``[batch, time]``, row by row and from left to right."""
    starts = paths & 1 == 1
    following = np.zeros_like(paths)
    following[:, :-1] = paths[:, 1:]
    ends = (paths > 0) & ((following == 0) | (following & 1 == 1))
    rows, first = np.nonzero(starts)
    return Spans(rows, first, np.nonzero(ends)[1])


@dataclass(frozen=True, slots=True)
class _Weights:
    """Transitions at a temperature as weights to multiply with, and the views of them that steps use."""

    transitions: Transitions
    start: Floats
    step: Floats
    end: Floats
    back: Floats
    """``step``, from the later tag to the earlier one."""
    begin_on: Floats
    """From each label's ``B`` to its ``I``."""
    stay_on: Floats
    """From each label's ``I`` to itself."""
    by_target: Floats
    """The scores of the transitions, ``[to, from]``."""


@lru_cache(maxsize=64)
def _weights(transitions: Transitions, temperature: float) -> _Weights:
    # Once for each model and temperature, not once for each sentence.
    moves = transitions.scaled(temperature) if temperature != 1 else transitions
    step = _probability(moves.matrix)
    return _Weights(
        transitions=moves,
        start=_probability(moves.start),
        step=step,
        end=_probability(moves.end),
        back=np.ascontiguousarray(step.T),
        begin_on=np.ascontiguousarray(step[1::2, 2::2].diagonal()),
        stay_on=np.ascontiguousarray(step[2::2, 2::2].diagonal()),
        by_target=np.ascontiguousarray(moves.matrix.T),
    )


def _by_time(emissions: NDArray[np.floating]) -> Floats:
    """``[time, batch, tags]`` in double precision, each step one block of memory."""
    return np.ascontiguousarray(np.asarray(emissions).transpose(1, 0, 2), dtype=np.float64)


def _probability(scores: Floats) -> Floats:
    """Scores as weights relative to the best one; forbidden ones weigh nothing."""
    relative = np.exp(np.maximum(scores - scores.max(), _FLOOR))
    return np.where(scores <= FORBIDDEN / 2, 0.0, relative)
