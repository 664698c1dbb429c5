"""The whole product proven on real processes, started in an empty folder.

`loop` (`make prove-loop`): one turn of the loop. A labelled corpus plays the world. Part of it is never
shown to anybody and measures the service over HTTP before and after; the rest is imported as plain texts,
predicted, corrected by a simulated reviewer through the workbench's own requests, learned from when the
policy says so, judged by the gate and promoted.

`rollout` (`make prove-rollout`): models come to live traffic. A better one gets there by itself; worse ones
of four kinds are stopped by the gate and, past it, by the rollout; processes are killed in each phase.
"""
