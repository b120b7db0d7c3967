"""No file over 400 lines, no function over 60."""

import functions

FILE_LINES, FUNCTION_LINES = 400, 60


def long_file(source):
    if source.language != "markdown" and len(source.lines) > FILE_LINES:
        yield 1, f"the file has {len(source.lines)} lines: split it, {FILE_LINES} is the limit"


def long_functions(source):
    for function in functions.find(source):
        if function.length > FUNCTION_LINES:
            yield function.first, (f"{function.name} has {function.length} lines: split it, "
                                   f"{FUNCTION_LINES} is the limit of a function")


CHECKS = (long_file, long_functions)
