"""Swift and C without strings and comments, so that braces and words in it are code."""

import re

# The beginning of a string in Swift. Three quotes begin a string only at the end of a line: `#""""#` has one line.
SWIFT_STRING = r'(#*)("""(?=[ \t]*\n)|")'
TOKENS = {
    "swift": re.compile(rf"//|/\*|{SWIFT_STRING}"),
    "c": re.compile(r"//|/\*|()([\"'])|^[ \t]*#(?:\\\n|.)*", re.MULTILINE),
}
IN_INTERPOLATION = re.compile(rf"[()]|{SWIFT_STRING}")
COMMENT_MARK = re.compile(r"/\*|\*/")


def blank(text, language):
    """The text with spaces in place of strings, comments and preprocessor lines. Lines and offsets stay."""
    pieces, position, tokens = [], 0, TOKENS[language]
    while match := tokens.search(text, position):
        pieces.append(text[position:match.start()])
        if match[0] == "//":
            position = text.find("\n", match.start())
        elif match[0] == "/*":
            position = end_of_comment(text, match.end(), nests=language == "swift")
        elif match[2]:
            position = end_of_string(text, match.end(), match[1], match[2], language)
        else:
            position = match.end()
        position = len(text) if position < 0 else position
        pieces.append(re.sub(r"[^\n]", " ", text[match.start():position]))
    return "".join(pieces) + text[position:]


def end_of_comment(text, position, nests):
    depth = 1
    while depth and (mark := COMMENT_MARK.search(text, position)):
        depth += (1 if nests else 0) if mark[0] == "/*" else -1
        position = mark.end()
    return len(text) if depth else position


def end_of_string(text, position, signs, quote, language):
    """The offset behind a string whose text begins at `position`, with what it interpolates."""
    # In a raw string, only what follows `\#` is escaped.
    marks = re.compile(rf"\\{signs}(\(|[^(])|{quote}{signs}")
    while mark := marks.search(text, position):
        position = mark.end()
        if mark[0] == quote + signs:
            return position
        if mark[1] == "(" and language == "swift":
            position = end_of_interpolation(text, position)
    return len(text)


def end_of_interpolation(text, position):
    depth = 1
    while depth and (mark := IN_INTERPOLATION.search(text, position)):
        position = mark.end()
        if mark[2]:
            position = end_of_string(text, position, mark[1], mark[2], "swift")
        else:
            depth += 1 if mark[0] == "(" else -1
    return position


BRACKETS = re.compile(r"[][(){}]")


def closing(text, position):
    """The offset of the bracket that closes the one at `position`, in text without strings and comments."""
    depth = 0
    for mark in BRACKETS.finditer(text, position):
        depth += 1 if mark[0] in "([{" else -1
        if depth == 0:
            return mark.start()
    return len(text)
