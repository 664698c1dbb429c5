"""The tagger in TensorFlow: weights by name, the network, and its loss.

Plain functions over named variables instead of a Keras model: the names are those of the exported
graph, so a bundle's weights are read straight back, and every random draw is a function of the seed
and the step, so a run that was killed resumes exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ner.config import Architecture, FeatureSettings, Layer
from ner.decode import FORBIDDEN, valid_transitions
from ner.training.weights import Weights

_TINY = 1e-37


class Network:
    """The variables of a tagger and what is computed from them."""

    def __init__(
        self, architecture: Architecture, features: FeatureSettings, weights: Mapping[str, Any]
    ) -> None:
        self.architecture = architecture
        self.features = features
        self.variables = {
            name: tf.Variable(value, dtype=tf.float32, name=name.replace(".", "_"))
            for name, value in weights.items()
        }
        tags = self.variables["out.bias"].shape[0]
        may_start, may_follow = valid_transitions(tags)
        self._start_mask = tf.constant(np.where(may_start, 0.0, FORBIDDEN), tf.float32)
        self._step_mask = tf.constant(np.where(may_follow, 0.0, FORBIDDEN), tf.float32)

    def weights(self) -> Weights:
        """The current values of all variables."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def assign(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Set all variables."""
        for name, variable in self.variables.items():
            variable.assign(weights[name])

    def emissions(self, features: Any, lengths: Any, vectors: Any, seed: Any = None) -> Any:
        """Scores ``[batch, time, tags]``; with a ``seed`` (two integers) dropout is on."""
        variables = self.variables
        parts = [tf.gather(variables["word"], features[:, :, 0])]
        if "case" in variables:
            parts.append(tf.gather(variables["case"], features[:, :, 1]))
        if "hash" in variables:
            count = len(self.features.hashed)
            rows = features[:, :, 2:] + tf.range(count) * self.features.buckets
            found = tf.gather(variables["hash"], rows)
            width = count * self.architecture.hash_dim
            parts.append(tf.reshape(found, [tf.shape(rows)[0], tf.shape(rows)[1], width]))
        if self.features.vectors:
            parts.append(vectors)
        flow = tf.concat(parts, axis=2)
        mask = tf.sequence_mask(lengths, tf.shape(features)[1], dtype=tf.float32)[:, :, None]
        for place, layer in enumerate(self.architecture.layers):
            layer_seed = None if seed is None else tf.stack([seed[0], seed[1] + place + 1])
            flow = self._layer(place, layer, flow, mask, lengths, layer_seed)
        return flow @ variables["out.kernel"] + variables["out.bias"]

    def losses(self, emissions: Any, lengths: Any, allowed: Any) -> Any:
        """For each sentence, minus the log-probability that its tags are among the allowed ones."""
        closed = emissions + tf.where(allowed, 0.0, FORBIDDEN)
        if self.architecture.output == "softmax":
            mask = tf.sequence_mask(lengths, tf.shape(emissions)[1], dtype=tf.float32)
            lost = tf.reduce_logsumexp(emissions, axis=2) - tf.reduce_logsumexp(closed, axis=2)
            return tf.reduce_sum(lost * mask, axis=1)
        both = self._log_partition(
            tf.concat([emissions, closed], axis=0), tf.concat([lengths, lengths], axis=0)
        )
        everything, permitted = tf.split(both, 2)
        return everything - permitted

    def _log_partition(self, emissions: Any, lengths: Any) -> Any:
        start = self.variables["crf.start"] + self._start_mask
        # Products of exponentials instead of sums of logarithms: one matrix product per step.
        step = tf.exp(self.variables["crf.matrix"] + self._step_mask)
        by_time = tf.transpose(emissions, [1, 0, 2])
        state = start + by_time[0]
        for place in tf.range(1, tf.shape(by_time)[0]):
            peak = tf.reduce_max(state, axis=1, keepdims=True)
            reached = tf.maximum(tf.exp(state - peak) @ step, _TINY)
            following = tf.math.log(reached) + peak + by_time[place]
            state = tf.where((place < lengths)[:, None], following, state)
        return tf.reduce_logsumexp(state + self.variables["crf.end"], axis=1)

    def _layer(self, place: int, layer: Layer, flow: Any, mask: Any, lengths: Any, seed: Any) -> Any:
        if layer.kind == "dropout":
            return _dropout(flow, layer.rate, seed)
        if layer.kind == "dense":
            return tf.nn.relu(flow @ self._own(place, "kernel") + self._own(place, "bias"))
        if layer.kind == "window":
            return self._window(place, layer, flow * mask, seed)
        return self._lstm(place, layer, flow, lengths, seed) * mask

    def _window(self, place: int, layer: Layer, flow: Any, seed: Any) -> Any:
        """Each word with its neighbours at a distance, added to itself and normalised."""
        reach = layer.dilation
        padded = tf.pad(flow, [[0, 0], [reach, reach], [0, 0]])
        around = tf.concat([padded[:, : -2 * reach], flow, padded[:, 2 * reach :]], axis=2)
        seen = tf.nn.relu(around @ self._own(place, "kernel") + self._own(place, "bias"))
        total = flow + _dropout(seen, layer.rate, seed)
        mean, variance = tf.nn.moments(total, axes=[2], keepdims=True)
        normal = (total - mean) * tf.math.rsqrt(variance + 1e-5)
        return normal * self._own(place, "gain") + self._own(place, "shift")

    def _lstm(self, place: int, layer: Layer, flow: Any, lengths: Any, seed: Any) -> Any:
        """Both directions at once; gates in the order of ONNX: input, output, forget, cell."""
        batch, time, units = tf.shape(flow)[0], tf.shape(flow)[1], layer.units
        both = tf.stack([flow, tf.reverse_sequence(flow, lengths, seq_axis=1, batch_axis=0)])
        bias = self._own(place, "B")
        bias = (bias[:, : 4 * units] + bias[:, 4 * units :])[:, None, :]
        inputs = tf.reshape(both, [2, batch * time, flow.shape[2]])
        gates = tf.matmul(inputs, self._own(place, "W"), transpose_b=True) + bias
        gates = tf.transpose(tf.reshape(gates, [2, batch, time, 4 * units]), [2, 0, 1, 3])
        recurrent = self._own(place, "R")
        hidden = cell = tf.zeros([2, batch, units])
        keep = _dropout(tf.ones([2, batch, units]), layer.rate, seed)
        outputs = tf.TensorArray(tf.float32, size=time, element_shape=[2, None, units])
        for moment in tf.range(time):
            total = gates[moment] + tf.matmul(hidden * keep, recurrent, transpose_b=True)
            enter, leave, forget, candidate = tf.split(total, 4, axis=2)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(candidate)
            hidden = tf.sigmoid(leave) * tf.tanh(cell)
            outputs = outputs.write(moment, hidden)
        ahead, back = tf.unstack(tf.transpose(outputs.stack(), [1, 2, 0, 3]), num=2)
        back = tf.reverse_sequence(back, lengths, seq_axis=1, batch_axis=0)
        return tf.concat([ahead, back], axis=2)

    def _own(self, place: int, name: str) -> Any:
        return self.variables[f"{place}.{name}"]


def _dropout(flow: Any, rate: float, seed: Any) -> Any:
    if seed is None or not rate:
        return flow
    return tf.nn.experimental.stateless_dropout(flow, rate, seed=seed, rng_alg="philox")
