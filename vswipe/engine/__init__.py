"""Frame numbers in, finished frames out. Nothing in here knows VapourSynth."""
