"""Footage, drawn foregrounds and evaluation: what training scripts and measurements share.

Nothing in here imports VapourSynth, and nothing outside the scripts and the tests imports it.
"""
