"""The recogniser at run time: text in, spans with confidence out. NumPy, msgspec and ONNX Runtime only.

Sentences are batched by length, so hardly anything is padding; the network sees true lengths and
answers the same in any batch. One recogniser may be used by many threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ner.acquisition import uncertainty
from ner.bundle import Bundle, open_bundle
from ner.decode import Ints, Lattice, spans_of
from ner.errors import BundleNotFinite, BundleUnreadable
from ner.features import VectorTable
from ner.spans import Span
from ner.tags import OUTSIDE, tag_names
from ner.text import sentences, windows
from ner.tokens import Token, tokenize

# Measured: at twice as many, what lies between two layers leaves the cache; a text takes half as long again.
_BATCH_TOKENS = 1024
_BATCH_SENTENCES = 256
# Longer than any sentence; the context is wider than what a token of the flagship can see.
_WINDOW, _CONTEXT = 512, 32
_ALTERNATIVES = 3


class TokenPrediction(Struct, frozen=True, gc=False):
    """One word with its tag and how probable that tag is."""

    word: str
    start: int
    end: int
    tag: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was found in one text.

    ``alternatives`` stands beside ``spans``: what else the same words might be, likeliest first,
    where the label ``O`` means no entity.
    """

    tokens: tuple[TokenPrediction, ...] = ()
    spans: tuple[Span, ...] = ()
    alternatives: tuple[tuple[tuple[str, float], ...], ...] = ()
    uncertainty: float = 0.0


class Recogniser(Protocol):
    """What serves predictions: a loaded bundle, or the blank model."""

    @property
    def bundle(self) -> Bundle | None:
        """The bundle behind it; none for the blank model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it can give."""

    def predict(self, text: str) -> Recognition:
        """Recognise one text."""

    def predict_many(self, texts: Sequence[str]) -> list[Recognition]:
        """Recognise many texts at once."""


def load_recogniser(path: Path | None, *, expected_sha256: str | None = None) -> Recogniser:
    """Open a bundle for serving; ``None`` is the blank model, which predicts nothing."""
    if path is None:
        return BlankRecogniser()
    return BundleRecogniser(open_bundle(path, expected_sha256=expected_sha256))


class BlankRecogniser:
    """Version 0 of every label set: sees the tokens, finds nothing, is unsure of nothing."""

    bundle: Bundle | None = None
    labels: tuple[str, ...] = ()

    def predict(self, text: str) -> Recognition:
        """The tokens of the text, all outside."""
        return Recognition(
            tokens=tuple(
                TokenPrediction(token.word, token.start, token.end, OUTSIDE, 1.0) for token in tokenize(text)
            )
        )

    def predict_many(self, texts: Sequence[str]) -> list[Recognition]:
        """``predict`` for each text."""
        return [self.predict(text) for text in texts]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One sentence with its answer."""

    tags: list[str]
    confidences: list[float]
    spans: list[Span]
    alternatives: list[tuple[tuple[str, float], ...]]
    log_probability: float


class BundleRecogniser:
    """A bundle, loaded."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle: Bundle | None = bundle
        self.labels = bundle.config.labels
        self._encoder = bundle.encoder
        self._vectors = bundle.vectors
        self._transitions = bundle.transitions
        self._temperature = bundle.config.temperature
        self._tags = tag_names(bundle.config.labels)
        self._options = (*bundle.config.labels, OUTSIDE)
        self._network = _Network(bundle)

    def predict(self, text: str) -> Recognition:
        """Recognise one text."""
        return self.predict_many([text])[0]

    def predict_many(self, texts: Sequence[str]) -> list[Recognition]:
        """Recognise many texts at once, in true batches; the answers keep the order."""
        split = [sentences(text) for text in texts]
        flat = [sentence for found in split for sentence in found]
        decoded = iter(self._decode(flat))
        return [_join(found, [next(decoded) for _ in found]) for found in split]

    def emissions(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """The network's scores of every tag for every word, sentence by sentence."""
        results: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(sentences)
        for places in _batches([len(sentence) for sentence in sentences]):
            scores, lengths = self._scores([sentences[place] for place in places])
            for row, place in enumerate(places):
                results[place] = scores[row, : lengths[row]]
        return results

    def _decode(self, sentences: Sequence[Sequence[Token]]) -> list[_Decoded]:
        words = [[token.word for token in sentence] for sentence in sentences]
        results: dict[int, _Decoded] = {}
        for places in _batches([len(sentence) for sentence in words]):
            emissions, lengths = self._scores([words[place] for place in places])
            lattice = Lattice(emissions, lengths, self._transitions, temperature=self._temperature)
            paths, likelihoods = lattice.best_paths()
            marginals = lattice.token_probabilities()
            chosen = np.minimum(np.take_along_axis(marginals, paths[:, :, None], axis=2)[:, :, 0], 1.0)
            for place, path, confidences, likelihood in zip(
                places, paths.tolist(), chosen.tolist(), likelihoods.tolist(), strict=True
            ):
                length = len(words[place])
                tags = [self._tags[tag] for tag in path[:length]]
                results[place] = _Decoded(tags, confidences[:length], [], [], likelihood)
            self._spans([(sentences[place], results[place]) for place in places], paths, lattice)
        return [results[place] for place in range(len(sentences))]

    def _spans(
        self, batch: Sequence[tuple[Sequence[Token], _Decoded]], paths: Ints, lattice: Lattice
    ) -> None:
        """Add to each sentence of a batch its entities, and what else their words might be."""
        spans = spans_of(paths)
        own = paths[spans.rows, spans.first] >> 1
        probabilities = lattice.span_probabilities(spans)
        ranking = np.argsort(-probabilities, axis=1, kind="stable")[:, : _ALTERNATIVES + 1]
        names = self._options
        for row, first, last, label, numbers, ranked in zip(
            *(column.tolist() for column in (*spans, own, probabilities, ranking)), strict=True
        ):
            sentence, answer = batch[row]
            answer.spans.append(Span(sentence[first].start, sentence[last].end, names[label], numbers[label]))
            rivals = [(names[other], numbers[other]) for other in ranked if other != label]
            answer.alternatives.append(tuple(rivals[:_ALTERNATIVES]))

    def _scores(self, batch: Sequence[Sequence[str]]) -> tuple[NDArray[np.float32], Ints]:
        lengths = np.array([len(words) for words in batch], dtype=np.int64)
        features = np.zeros((len(batch), int(lengths.max()), self._encoder.columns), np.int32)
        inside = np.arange(features.shape[1]) < lengths[:, None]
        features[inside] = self._encoder.encode([word for words in batch for word in words])
        if features.shape[1] <= _WINDOW:
            return self._network.run(features, lengths, self._vectors), lengths
        return self._long_scores(features[0], len(batch[0])), lengths

    def _long_scores(self, features: NDArray[np.int32], length: int) -> NDArray[np.float32]:
        """Scores of one endless sentence: window by window, decoded as a whole afterwards."""
        kept = []
        for start, stop, keep_start, keep_stop in windows(length, size=_WINDOW, context=_CONTEXT):
            lengths = np.array([stop - start], dtype=np.int64)
            scores = self._network.run(features[None, start:stop], lengths, self._vectors)
            kept.append(scores[:, keep_start - start : keep_stop - start])
        return np.concatenate(kept, axis=1)


class _Network:
    """The ONNX graph of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        # Here, so that importing this module stays cheap for those who only want its types.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread each: the processes of a server share the cores, not one sentence.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle.path / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise BundleUnreadable(path=bundle.path, problem=error) from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._probe(bundle)

    def run(
        self, features: NDArray[np.int32], lengths: Ints, vectors: VectorTable | None
    ) -> NDArray[np.float32]:
        """Scores ``[batch, time, tags]``; the last feature column is the vector's row."""
        feed: dict[str, NDArray[np.generic]] = {"features": features[:, :, :-1]}
        if "lengths" in self._inputs:
            feed["lengths"] = lengths.astype(np.int32)
        if vectors is not None:
            feed["vectors"] = vectors.look_up(features[:, :, -1])
        scores: NDArray[np.float32] = self._session.run(None, feed)[0]
        return scores

    def _probe(self, bundle: Bundle) -> None:
        """One word through the network: its shape and its numbers must be right."""
        features = np.zeros((1, 1, bundle.encoder.columns), np.int32)
        try:
            scores = self.run(features, np.array([1], dtype=np.int64), bundle.vectors)
        except Exception as error:
            raise BundleUnreadable(path=bundle.path, problem=error) from error
        if scores.shape != (1, 1, bundle.transitions.tags):
            raise BundleUnreadable(path=bundle.path, problem="the graph does not fit the labels")
        if not np.isfinite(scores).all():
            raise BundleNotFinite(path=bundle.path, problem="the graph's answer")


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of sentences of about one length, short ones first; an endless one stands alone."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        longest = lengths[place]
        full = len(batch) == _BATCH_SENTENCES or (len(batch) + 1) * longest > _BATCH_TOKENS
        if batch and (full or longest > _WINDOW):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _join(found: Sequence[Sequence[Token]], decoded: Sequence[_Decoded]) -> Recognition:
    """One answer for a text out of its sentences' answers."""
    tokens = tuple(
        TokenPrediction(token.word, token.start, token.end, tag, confidence)
        for sentence, answer in zip(found, decoded, strict=True)
        for token, tag, confidence in zip(sentence, answer.tags, answer.confidences, strict=True)
    )
    return Recognition(
        tokens=tokens,
        spans=tuple(span for answer in decoded for span in answer.spans),
        alternatives=tuple(options for answer in decoded for options in answer.alternatives),
        uncertainty=uncertainty(
            [answer.log_probability for answer in decoded],
            [len(sentence) for sentence in found],
        ),
    )
