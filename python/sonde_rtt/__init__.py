"""Round trips as an application in Python sees them.

A sender (sonde_rtt.client) and a reflector (sonde_rtt.reflector) that speak
the packets of 'sonde rtt' and 'sonde reflect' over plain sockets.  Beside
those they show what the interpreter adds.  Standard library only.
"""
