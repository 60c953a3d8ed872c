"""Keys and addresses, as the options of 'sonde rtt' give them."""
import re
import socket
import sys

from .message import KEY_SIZE_MAX

PORT = 862


def key_arguments(parser):
    parser.add_argument("--key", metavar="HEX", help="authenticate packets (HMAC-SHA-256) by this key")
    parser.add_argument("--key-file", metavar="FILE", help="the same, hexadecimal digits in a file; -: the first "
                        "line of standard input")


def key_of(options):
    """The key's bytes, or None; ValueError: no key."""
    if options.key and options.key_file:
        raise ValueError("key, key-file: only one of them")
    text = options.key
    if options.key_file == "-":
        text = sys.stdin.readline()
    elif options.key_file:
        with open(options.key_file, encoding="ascii") as file:
            text = file.readline()
    if text is None:
        return None
    text = text.strip("\r\n")
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2}){1,%d}" % KEY_SIZE_MAX, text):
        raise ValueError(f"key: 1 to {KEY_SIZE_MAX} bytes as pairs of hexadecimal digits")
    return bytes.fromhex(text)


def address_of(text, port, family):
    """(family, address) of HOST, HOST:PORT or [ADDRESS]:PORT."""
    host = text
    bracket = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", text)
    if bracket:
        host, port = bracket.group(1), int(bracket.group(2) or port)
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
        port = int(number)
    found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    return found[0][0], found[0][4]
