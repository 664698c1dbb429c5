"""From emissions to valid IOB2: Viterbi paths, exact probabilities, span confidences.

One lattice serves every architecture. A CRF brings learned transitions; a softmax model is a CRF
whose transitions are all zero. Transitions that IOB2 forbids have probability zero in both, so only
valid sequences can come out, and every probability is exact under the model given validity.

All functions work on batches ``[batch, time, tags]`` padded on the right. The tag order is that of
``ner.tags.tag_names``: ``O``, then ``B-x`` and ``I-x`` for each label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Far below any real score, far above overflow when added up.
FORBIDDEN = -1e9
# No score counts as more than this much worse than its best rival: keeps products above zero.
_FLOOR = -60.0


@dataclass(frozen=True, slots=True)
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
    batch, time, tags = emissions.shape
    scores = np.asarray(emissions, dtype=np.float64)
    best = transitions.start + scores[:, 0]
    pointers = np.zeros((time, batch, tags), dtype=np.int64)
    stay, shortest = np.arange(tags), int(lengths.min())
    by_target = np.ascontiguousarray(transitions.matrix.T)
    for step in range(1, time):
        options = best[:, None, :] + by_target
        chosen, following = options.argmax(axis=2), options.max(axis=2) + scores[:, step]
        if step < shortest:
            best, pointers[step] = following, chosen
        else:
            active = (step < lengths)[:, None]
            best = np.where(active, following, best)
            pointers[step] = np.where(active, chosen, stay)
    paths = np.zeros((batch, time), dtype=np.int64)
    rows = np.arange(batch)
    tag = (best + transitions.end).argmax(axis=1)
    for step in range(time - 1, -1, -1):
        paths[:, step] = tag
        tag = pointers[step, rows, tag]
    if shortest < time:
        paths[np.arange(time)[None, :] >= lengths[:, None]] = 0
    return paths


def path_scores(
    emissions: NDArray[np.floating], lengths: Ints, paths: Ints, transitions: Transitions
) -> Floats:
    """The score of one tag sequence for each row."""
    batch, time, _ = emissions.shape
    inside = np.arange(time)[None, :] < lengths[:, None]
    scores = np.take_along_axis(np.asarray(emissions, np.float64), paths[:, :, None], 2)[:, :, 0]
    total = (scores * inside).sum(axis=1) + transitions.start[paths[:, 0]]
    steps = transitions.matrix[paths[:, :-1], paths[:, 1:]]
    total += (steps * inside[:, 1:]).sum(axis=1)
    total += transitions.end[paths[np.arange(batch), lengths - 1]]
    return np.asarray(total, dtype=np.float64)


class Lattice:
    """All valid sequences of a batch with their probabilities (forward-backward, rescaled)."""

    def __init__(
        self,
        emissions: NDArray[np.floating],
        lengths: Ints,
        transitions: Transitions,
        *,
        temperature: float = 1.0,
    ) -> None:
        self.lengths = lengths
        self.transitions = transitions.scaled(temperature) if temperature != 1 else transitions
        self.emissions = np.asarray(emissions, dtype=np.float64) / temperature
        self._step = _probability(self.transitions.matrix)
        self._end = _probability(self.transitions.end)
        batch, time, _ = self.emissions.shape
        self._peak = self.emissions.max(axis=2)
        self._emit = np.exp(np.maximum(self.emissions - self._peak[:, :, None], _FLOOR))
        self._forward = np.empty_like(self._emit)
        self._scale = np.ones((batch, time))
        self._shortest = int(lengths.min())
        self._run_forward()
        self._backward: Floats | None = None

    def _run_forward(self) -> None:
        time = self._emit.shape[1]
        state = _probability(self.transitions.start) * self._emit[:, 0]
        for step in range(time):
            if step:
                following = (state @ self._step) * self._emit[:, step]
                inside = step < self._shortest
                state = following if inside else np.where(self.lengths[:, None] > step, following, state)
            scale = state.sum(axis=1)
            state = state / scale[:, None]
            self._forward[:, step] = state
            self._scale[:, step] = scale
        self._final = (state * self._end).sum(axis=1)

    @property
    def log_partition(self) -> Floats:
        """The logarithm of the summed scores of all valid sequences, for each row."""
        inside = np.arange(self._emit.shape[1])[None, :] < self.lengths[:, None]
        steps = (np.log(self._scale) + self._peak) * inside
        start, end = self._offsets
        total = steps.sum(axis=1) + np.log(self._final) + start + end
        gain = self._step_peak * (self.lengths - 1)
        return np.asarray(total + gain, dtype=np.float64)

    @property
    def _offsets(self) -> tuple[float, float]:
        return float(self.transitions.start.max()), float(self.transitions.end.max())

    @property
    def _step_peak(self) -> float:
        return float(self.transitions.matrix.max())

    def log_probabilities(self, paths: Ints) -> Floats:
        """The log-probability of one tag sequence for each row."""
        scores = path_scores(self.emissions, self.lengths, paths, self.transitions)
        return np.minimum(scores - self.log_partition, 0.0)

    @property
    def backward(self) -> Floats:
        """Scaled sums over everything that may follow each position."""
        if self._backward is None:
            batch, time, _ = self._emit.shape
            backward = np.empty_like(self._emit)
            state = np.broadcast_to(self._end, (batch, len(self._end)))
            for step in range(time - 1, -1, -1):
                if step < time - 1:
                    ahead = backward[:, step + 1] * self._emit[:, step + 1]
                    earlier = (ahead @ self._step.T) / self._scale[:, step + 1, None]
                    inside = step < self._shortest - 1
                    state = (
                        earlier if inside else np.where(self.lengths[:, None] > step + 1, earlier, self._end)
                    )
                backward[:, step] = state
            self._backward = backward
        return self._backward

    def token_probabilities(self) -> Floats:
        """The probability of every tag at every position, ``[batch, time, tags]``."""
        return np.asarray(self._forward * self.backward / self._final[:, None, None])

    def span_probabilities(self, row: int, first: int, last: int) -> tuple[Floats, float]:
        """For tokens ``first..last`` of a row: the probability that exactly these are an entity of
        each label (labels in order), and that all of them are outside."""
        emit, scale, step = self._emit[row], self._scale[row], self._step
        tags = len(self._end)
        begin, inside = np.arange(1, tags, 2), np.arange(2, tags, 2)
        entity = self._forward[row, first, begin]
        outside = float(self._forward[row, first, 0])
        tag = begin
        for place in range(first + 1, last + 1):
            entity = entity * step[tag, inside] * emit[place, inside] / scale[place]
            outside *= float(step[0, 0] * emit[place, 0] / scale[place])
            tag = inside
        if last == self.lengths[row] - 1:
            entity = entity * self._end[tag]
        else:
            ahead = emit[last + 1] * self.backward[row, last + 1] / scale[last + 1]
            entity = entity * (step[tag] @ ahead - step[tag, inside] * ahead[inside])
        outside *= float(self.backward[row, last, 0])
        final = float(self._final[row])
        return np.clip(entity / final, 0.0, 1.0), min(outside / final, 1.0)


def _probability(scores: Floats) -> Floats:
    """Scores as weights relative to the best one; forbidden ones weigh nothing."""
    relative = np.exp(np.maximum(scores - scores.max(), _FLOOR))
    return np.where(scores <= FORBIDDEN / 2, 0.0, relative)
