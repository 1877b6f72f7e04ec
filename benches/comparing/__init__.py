"""The same accidents happen to Dalsegno and to other tools; `benches/compare.py` is the way in.

`media_tools` and `database_tools` say how each tool is used, `media_scenarios`, `database_scenarios` and `accidents`
what happens to it and what came back, `page` where that is told.  How long it takes is asked by `measuring`, not here.
"""
