"""What the commands do: one video file in, one out, nothing of it lost.

`probe` says what a file holds, `source` opens its video, `graph` puts the filters behind it, `encode` writes segments,
`segments` keeps the folder they lie in, `mux` puts them and everything else of the source together, `erase` runs a job
from end to end. Rendering happens in a process of its own (`child` starts it, `worker` is it), so that it can be
stopped at once.
"""
