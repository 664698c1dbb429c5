"""`make prove-loop`: one whole turn of the loop on real processes, from an empty folder.

A labelled corpus plays the world. Part of it is never shown to anybody and measures the service over HTTP
before and after; the rest is imported as plain texts, predicted, corrected by a simulated reviewer through
the workbench's own requests, learned from when the policy says so, judged by the gate and promoted.
"""
