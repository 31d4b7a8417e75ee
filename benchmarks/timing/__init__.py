"""How long the hot paths take here, each beside a yardstick that was measured in the same rounds.

Absolute times say something about a machine, ratios about the code. A yardstick is the least that could be done in its place: the
same bytes answered by the same server, one durable commit on the same disk, the same rows with nothing around them.
"""
