"""The points of a trip, in path order, and the segments between them.

A set of points is an integer: bit (leg * POINT_COUNT + point), as in the
packets.
"""
WORDS = ("send", "call", "send_udp", "sched", "queue", "driver", "sent", "sent_hw", "received_hw", "received",
         "stack", "receive_udp", "enqueued", "ready", "waking", "running", "copied", "return", "receive")
POINT_COUNT = len(WORDS)
LEGS = ("forward", "back")
SETS_ALL = (1 << len(LEGS) * POINT_COUNT) - 1


def bit_index(leg, word):
    return LEGS.index(leg) * POINT_COUNT + WORDS.index(word)


FORWARD_SEND = bit_index("forward", "send")
FORWARD_SCHED = bit_index("forward", "sched")
FORWARD_SENT = bit_index("forward", "sent")
FORWARD_RECEIVED_HW = bit_index("forward", "received_hw")
FORWARD_RECEIVED = bit_index("forward", "received")
FORWARD_RECEIVE = bit_index("forward", "receive")
BACK_SEND = bit_index("back", "send")
BACK_SCHED = bit_index("back", "sched")
BACK_SENT = bit_index("back", "sent")
BACK_SENT_HW = bit_index("back", "sent_hw")
BACK_RECEIVED = bit_index("back", "received")
BACK_RECEIVE = bit_index("back", "receive")

# What the other host's kernel and application know without privilege.
REFLECTOR_SET = (1 << FORWARD_RECEIVED | 1 << FORWARD_RECEIVE | 1 << BACK_SEND | 1 << BACK_SCHED | 1 << BACK_SENT)


def indices(points):
    """The set's bits, lowest first: path order."""
    while points:
        low = points & -points
        yield low.bit_length() - 1
        points ^= low


def is_local(index):
    """Whether the sender's host stamps the point, by the sender's clock."""
    leg, point = divmod(index, POINT_COUNT)
    return (leg == 0) == (point <= WORDS.index("sent_hw"))


def segments(points):
    """(name, from, to) of each segment between neighbours of the set."""
    found = []
    before = None
    for index in indices(points):
        if before is not None:
            from_leg, from_point = divmod(before, POINT_COUNT)
            to_leg, to_point = divmod(index, POINT_COUNT)
            part = LEGS[from_leg] if from_leg == to_leg else "reflector"
            found.append((f"{part} {WORDS[from_point]}-{WORDS[to_point]}", before, index))
        before = index
    return found
