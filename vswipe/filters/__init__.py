"""VapourSynth-facing: one module per filter, arguments -> checked settings -> engine."""
