"""
Parts: the questions of the comparison, one module each.

    load        what an acked action costs, and how long it takes, against each peer in turn
    rate        the highest rate that is held with p99 < 50 ms
    memory      what a connection takes, idle and playing
    recovery    how soon a room of 100,000 actions is back
    commit      the ack at low load beside a bare commit
    scaling     the cost of an action from 1 to 1,000 rooms, and as the rate rises
"""
