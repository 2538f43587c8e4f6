"""From frames to masks: where subtitles are. Numbers and arrays only; no VapourSynth."""
