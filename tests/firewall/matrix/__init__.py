"""Who reaches whom: every kind of network, source, destination, protocol and family, on real packets.

    cells.py        what is asked: the networks and their options, and the ways to and from each
    rules.py        what the documents promise for each cell
    city.py         these networks on an engine, ours or Docker, by the Engine API
    exchange.py     a probe for each cell, all at once, and what became of it
    differences.py  where Docker says something else, and why we do not follow
    docker.txt      what Docker said

`make matrix` prints the table.
"""
