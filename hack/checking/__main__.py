"""Checks the sizes and the language of all files in the repository of the working directory.

    python3 hack/checking        prints `file:line: what is wrong: what to do`, one finding a line

hack/check runs it as one of its checks.
"""

import language
import sizes
from sources import sources


def main():
    for source in sources():
        for check in (*sizes.CHECKS, *language.CHECKS):
            for line, finding in check(source):
                print(f"{source.path}:{line}: {finding}")


main()
