"""The training loop: a generator of progress, resumable after any kill, cancellable at any step.

    for progress in train(config, train=examples, dev=held_out, out=folder):
        print(progress.message)

The caller owns everything around it: logs, rows, heartbeats, deadlines. The last progress carries
the path of the written bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ner.bundle import Bundle
from ner.calibrate import ScoredBatch, fit_temperature
from ner.config import TrainConfig, to_json
from ner.decode import viterbi
from ner.errors import TrainingCancelled, TrainingFailed
from ner.spans import Example
from ner.tags import chunks, tag_names
from ner.training.data import Batch, Encoded, WordDropout, batches
from ner.training.finetune import fine_tuning_job
from ner.training.jobs import Job, fresh_job, transitions_of
from ner.training.network import Network
from ner.training.optimizer import Adam
from ner.training.weights import Weights
from ner.training.write import write_model

_REPORTS_PER_EPOCH = 25
_WARM_UP = 50
_CALIBRATION_SENTENCES = 3000
_FINAL_RATE = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; ``bundle`` is set once, at the end."""

    step: int
    total: int
    epoch: int
    loss: float
    dev_f1: float
    message: str
    bundle: Path | None = None


@dataclass(slots=True)
class _State:
    """What a checkpoint holds besides the optimiser."""

    epoch: int
    best: Weights
    best_f1: float
    best_epoch: int
    seconds: float
    history: list[dict[str, float]]


def train(
    config: TrainConfig,
    *,
    train: Sequence[Example],
    dev: Sequence[Example],
    out: Path,
    start_from: Bundle | None = None,
    rehearsal_texts: Sequence[str] = (),
    rehearsal_examples: Sequence[Example] = (),
    checkpoint: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    vectors: Path | None = None,
) -> Iterator[Progress]:
    """Train a model and write its bundle to ``out``.

    ``start_from`` continues a champion: its labels stay, new ones are added, and what it knows is
    rehearsed on ``rehearsal_texts`` (which it labels itself) and ``rehearsal_examples`` (labelled
    with its labels). Without it, ``vectors`` is a folder of pretrained vectors for the families
    that use them. ``checkpoint`` is a file: a run started again with the same arguments goes on
    after the last finished epoch, with the same result as if it had never stopped.
    """
    if not train:
        raise TrainingFailed(problem="there is nothing to train on")
    _limit_threads(config.threads)
    yield Progress(0, 0, 0, 0.0, 0.0, "reading the texts")
    if start_from is None:
        job = fresh_job(config, train=train, dev=dev, vectors=vectors)
    else:
        job = fine_tuning_job(
            config,
            champion=start_from,
            train=train,
            dev=dev,
            rehearsal_texts=rehearsal_texts,
            rehearsal_examples=rehearsal_examples,
        )
    if not job.draw(np.random.default_rng(config.seed)):
        raise TrainingFailed(problem="the texts hold no words")
    yield from _Run(config, job, out, checkpoint, should_stop).events()


class _Run:
    """One run of the loop."""

    def __init__(
        self,
        config: TrainConfig,
        job: Job,
        out: Path,
        checkpoint: Path | None,
        should_stop: Callable[[], bool],
    ) -> None:
        self.config, self.job, self.out = config, job, out
        self.checkpoint, self.should_stop = checkpoint, should_stop
        self.network = Network(job.architecture, job.features, job.weights)
        self.optimizer = Adam(self.network.variables, clip=config.gradient_clip, rates=job.slower)
        self.hide = WordDropout(config, job.encoder, job.counts)
        self.width = job.features.vectors
        columns, tags = job.encoder.columns - 1, 1 + 2 * len(job.labels)
        signature = (
            tf.TensorSpec([None, None, columns], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None, self.width], tf.float32),
        )
        self._forward = tf.function(self.network.emissions, input_signature=signature)
        self._step = tf.function(
            self._train_step,
            input_signature=(
                *signature,
                tf.TensorSpec([None, None, tags], tf.bool),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([2], tf.int32),
                tf.TensorSpec([], tf.float32),
            ),
        )

    def events(self) -> Iterator[Progress]:
        """Train, calibrate, write."""
        config, job = self.config, self.job
        state = self._resumed()
        per_epoch = len(batches(self._drawn(0), tokens=config.batch_tokens, rng=None))
        total = per_epoch * job.epochs
        yield self._report(state, 0, total, 0.0, f"{job.summary}; {total} steps")
        while state.epoch < job.epochs and state.epoch - state.best_epoch < config.patience:
            started, loss = time.monotonic(), 0.0
            rng = np.random.default_rng([config.seed, state.epoch + 1])
            drawn = batches(self._drawn(state.epoch), tokens=config.batch_tokens, rng=rng)
            every = max(ceil(len(drawn) / _REPORTS_PER_EPOCH), 1)
            for place, batch in enumerate(drawn):
                if self.should_stop():
                    raise TrainingCancelled(epoch=state.epoch)
                step = state.epoch * per_epoch + place
                loss += self._learn(self.hide.apply(batch, rng), step, total)
                if place % every == 0:
                    done = f"epoch {state.epoch + 1}, {place + 1} of {len(drawn)}"
                    yield self._report(state, step + 1, total, loss / (place + 1), done)
            self._finish_epoch(state, loss / max(len(drawn), 1), time.monotonic() - started)
            last = state.history[-1]
            done = f"epoch {state.epoch}: loss {last['loss']:.4f}, dev F1 {last['dev_f1']:.4f}"
            yield self._report(state, state.epoch * per_epoch, total, last["loss"], done)
        self.network.assign(state.best)
        yield self._report(state, total, total, 0.0, "calibrating and writing the bundle")
        self._write(state)
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        done = f"done in {state.seconds:.0f} s: dev F1 {state.best_f1:.4f}"
        yield Progress(total, total, state.epoch, 0.0, state.best_f1, done, self.out)

    def _learn(self, batch: Batch, step: int, total: int) -> float:
        warm = min((step + 1) / _WARM_UP, 1.0)
        rate = self.config.learning_rate * warm * max(1.0 - step / max(total, 1), _FINAL_RATE)
        loss = self._step(
            *self._inputs(batch),
            batch.allowed,
            batch.weights,
            np.array([self.config.seed, step * 64], np.int32),
            np.float32(rate),
        )
        value = float(loss)
        if not np.isfinite(value):
            raise TrainingFailed(problem=f"the loss is {value} at step {step}")
        return value

    def _train_step(
        self,
        features: Any,
        lengths: Any,
        vectors: Any,
        allowed: Any,
        weights: Any,
        seed: Any,
        rate: Any,
    ) -> Any:
        variables = self.network.variables
        with tf.GradientTape() as tape:
            emissions = self.network.emissions(features, lengths, vectors, seed)
            losses = self.network.losses(emissions, lengths, allowed)
            # A constant divisor: every sentence weighs the same, however its batch is filled.
            loss = tf.reduce_sum(losses * weights) / self.config.batch_tokens
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply(gradients, rate)
        return loss

    def _inputs(self, batch: Batch) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        rows = batch.features[:, :, -1]
        if self.job.vectors is None:
            vectors = np.zeros((*rows.shape, 0), np.float32)
        else:
            vectors = self.job.vectors.table.look_up(rows)
        return batch.features[:, :, :-1], batch.lengths, vectors

    def _drawn(self, epoch: int) -> list[Encoded]:
        return self.job.draw(np.random.default_rng([self.config.seed, epoch, 2]))

    def _finish_epoch(self, state: _State, loss: float, seconds: float) -> None:
        f1 = self._dev_f1()
        state.epoch += 1
        state.seconds += seconds
        state.history.append({"epoch": state.epoch, "loss": loss, "dev_f1": f1})
        if f1 > state.best_f1 or state.best_epoch == 0:
            state.best, state.best_f1, state.best_epoch = self.network.weights(), f1, state.epoch
        self._save(state)

    def _scored(self, sentences: Sequence[Encoded]) -> Iterator[ScoredBatch]:
        for batch in batches(sentences, tokens=4 * self.config.batch_tokens, rng=None):
            emissions = self._forward(*self._inputs(batch)).numpy()
            yield ScoredBatch(emissions, batch.lengths.astype(np.int64), batch.tags.astype(np.int64))

    def _dev_f1(self) -> float:
        names = tag_names(self.job.labels)
        transitions = transitions_of(self.job.architecture, self.network.weights())
        right = found = true = 0
        for batch in self._scored(self.job.dev):
            paths = viterbi(batch.emissions, batch.lengths, transitions)
            for row, length in enumerate(batch.lengths):
                gold = set(chunks([names[tag] for tag in batch.tags[row, :length]]))
                guess = set(chunks([names[tag] for tag in paths[row, :length]]))
                right, found, true = right + len(gold & guess), found + len(guess), true + len(gold)
        return 2 * right / (found + true) if right else 0.0

    def _write(self, state: _State) -> None:
        job = self.job
        weights = self.network.weights()
        sample = list(self._scored(job.dev[:_CALIBRATION_SENTENCES]))
        temperature = fit_temperature(sample, transitions_of(job.architecture, weights))
        metrics = {
            "dev": {"f1": state.best_f1, "sentences": len(job.dev), "epoch": state.best_epoch},
            "train": {"seconds": round(state.seconds, 1), "history": state.history, **job.facts},
            "calibration": {"temperature": temperature},
        }
        write_model(self.out, self.config, job, weights, temperature=temperature, metrics=metrics)

    def _report(self, state: _State, step: int, total: int, loss: float, message: str) -> Progress:
        return Progress(step, total, state.epoch, loss, state.best_f1, message)

    def _fingerprint(self) -> str:
        """Names the run: its settings, its first weights and its data."""
        digest = hashlib.sha256(to_json(self.config).encode())
        for sentence in (*self._drawn(0), *self.job.dev):
            digest.update(sentence.features.tobytes())
            digest.update(sentence.tags.tobytes())
        digest.update(self.job.weights["out.kernel"].tobytes())
        return digest.hexdigest()

    def _save(self, state: _State) -> None:
        if self.checkpoint is None:
            return
        arrays: dict[str, Any] = {f"now.{k}": v for k, v in self.network.weights().items()}
        arrays |= {f"best.{k}": v for k, v in state.best.items()}
        arrays |= {f"adam.{k}": v for k, v in self.optimizer.state().items()}
        facts = {
            "run": self._fingerprint(),
            "epoch": state.epoch,
            "best_f1": state.best_f1,
            "best_epoch": state.best_epoch,
            "seconds": state.seconds,
            "history": state.history,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        aside = self.checkpoint.with_name(f".{self.checkpoint.name}.partial")
        with aside.open("wb") as stream:
            np.savez(stream, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self.checkpoint)

    def _resumed(self) -> _State:
        state = _State(0, self.job.weights, 0.0, 0, 0.0, [])
        if self.checkpoint is None or not self.checkpoint.exists():
            return state
        with np.load(self.checkpoint, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            if facts.pop("run") != self._fingerprint():
                return state
            parts: dict[str, Weights] = {"now": {}, "best": {}, "adam": {}}
            for name in stored.files:
                part, _, key = name.partition(".")
                if part in parts:
                    parts[part][key] = stored[name]
        self.network.assign(parts["now"])
        self.optimizer.restore(parts["adam"])
        return _State(best=parts["best"], **facts)


def _limit_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # TensorFlow is already running in this process: it keeps the threads it has.
        return
