"""Dalsegno and other tools do the same work on the same data, in turns; `benches/run.py` is the way in.

What is measured is said by `cases`, on what by `data`, in which order by `rounds`, and what comes of it by `report`.
Whether a tool loses anything is asked by `comparing`, not here; that a measured restore was right is asked here too.
"""
