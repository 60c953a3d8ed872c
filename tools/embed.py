#!/usr/bin/env python3
"""embed.py FILE C_FILE NAME: the bytes of FILE as a C array NAME and NAME_size."""
import sys


def main():
    source, target, name = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    with open(target, "w", encoding="ascii") as out:
        out.write(f"#include <stddef.h>\nextern const unsigned char {name}[];\nextern const size_t {name}_size;\n")
        out.write(f"_Alignas(8) const unsigned char {name}[] = {{\n")
        for at in range(0, len(data), 20):
            out.write(",".join(map(str, data[at:at + 20])) + ",\n")
        out.write(f"}};\nconst size_t {name}_size = sizeof {name};\n")


if __name__ == "__main__":
    main()
