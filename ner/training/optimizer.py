"""Adam whose state is plain: named arrays that a checkpoint can hold, and lazy for embeddings.

Only the embedding rows of the words in a batch are touched, with their own moments; a dense update
of a large vocabulary would cost more than the network itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-7


class Adam:
    """Adam over named variables; ``rates`` slows some of them down."""

    def __init__(
        self,
        variables: Mapping[str, Any],
        *,
        clip: float,
        rates: Mapping[str, NDArray[np.float32] | float] | None = None,
    ) -> None:
        self._variables = dict(variables)
        self._clip = clip
        self._rates = {name: tf.constant(rate, tf.float32) for name, rate in (rates or {}).items()}
        self._first = {name: self._moment(name, "first") for name in variables}
        self._second = {name: self._moment(name, "second") for name in variables}
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)

    def apply(self, gradients: Mapping[str, Any], rate: Any) -> None:
        """One update."""
        names = [name for name, gradient in gradients.items() if gradient is not None]
        clipped, _ = tf.clip_by_global_norm([gradients[name] for name in names], self._clip)
        step = tf.cast(self.step.assign_add(1), tf.float32)
        size = rate * tf.sqrt(1.0 - _BETA2**step) / (1.0 - _BETA1**step)
        for name, gradient in zip(names, clipped, strict=True):
            if isinstance(gradient, tf.IndexedSlices):
                self._update_rows(name, gradient, size)
            else:
                self._update(name, gradient, size)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything needed to go on later."""
        moments = {f"first.{name}": value.numpy() for name, value in self._first.items()}
        moments |= {f"second.{name}": value.numpy() for name, value in self._second.items()}
        return moments | {"step": self.step.numpy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        for name in self._variables:
            self._first[name].assign(state[f"first.{name}"])
            self._second[name].assign(state[f"second.{name}"])
        self.step.assign(int(state["step"]))

    def _moment(self, name: str, kind: str) -> Any:
        variable = self._variables[name]
        return tf.Variable(tf.zeros_like(variable), trainable=False, name=f"{kind}_{variable.name}")

    def _update(self, name: str, gradient: Any, size: Any) -> None:
        first = self._first[name].assign(_BETA1 * self._first[name] + (1 - _BETA1) * gradient)
        second = self._second[name].assign(_BETA2 * self._second[name] + (1 - _BETA2) * tf.square(gradient))
        change = size * first / (tf.sqrt(second) + _EPSILON)
        self._variables[name].assign_sub(change * self._rates.get(name, 1.0))

    def _update_rows(self, name: str, gradient: Any, size: Any) -> None:
        rows, place = tf.unique(tf.reshape(gradient.indices, [-1]))
        summed = tf.math.unsorted_segment_sum(gradient.values, place, tf.size(rows))
        first = _BETA1 * tf.gather(self._first[name], rows) + (1 - _BETA1) * summed
        second = _BETA2 * tf.gather(self._second[name], rows) + (1 - _BETA2) * tf.square(summed)
        change = size * first / (tf.sqrt(second) + _EPSILON)
        slower = self._rates.get(name, 1.0)
        if getattr(slower, "shape", ()) != ():
            slower = tf.gather(slower, rows)
        self._first[name].scatter_update(tf.IndexedSlices(first, rows))
        self._second[name].scatter_update(tf.IndexedSlices(second, rows))
        self._variables[name].scatter_sub(tf.IndexedSlices(change * slower, rows))
