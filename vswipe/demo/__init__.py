"""`vswipe demo`: a clip with subtitles burnt in, the same clip without them, and one sheet that shows both.

`scene.py` and `paint.py` draw the sample clip, `subtitle.py` the subtitles and their mask, `media.py` runs ffmpeg and
vspipe, `sheet.py` draws the sheet, `run.py` puts them in order.
"""
