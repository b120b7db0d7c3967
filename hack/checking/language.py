"""Doc comments that stand alone, and short sentences in documents."""

import re

# A doc comment is shown without the line above it, so that these words refer to nothing.
PRONOUNS = re.compile(r"\s*///\s*(The same|That|Those|Of|So|It)\b")
SENTENCE_WORDS, USUAL_WORDS = 30, 25


def doc_comments(source):
    if source.language not in ("swift", "c"):
        return
    in_comment = False
    for number, line in enumerate(source.lines, 1):
        match = None if in_comment else PRONOUNS.match(line)
        if match:
            yield number, f"a doc comment begins with \"{match[1]}\": begin with the noun or the verb that it is about"
        in_comment = line.lstrip().startswith("///")


def long_sentences(source):
    if source.language != "markdown":
        return
    for first, text in blocks(source.lines):
        for line, count in sentences(first, text):
            if count > SENTENCE_WORDS:
                yield line, f"a sentence has {count} words: split it, {USUAL_WORDS} words are the usual limit"


# What begins a new block: a heading, a list item, a quotation.
BEGINS_BLOCK = re.compile(r"\s*(#+\s|[-*+]\s|\d+[.)]\s|>)")
LIST_ITEM = re.compile(r"\s*([-*+]|\d+[.)])\s")
FENCE = re.compile(r"\s*(```|~~~)")


def blocks(lines):
    """The first line and the text of each paragraph, heading, list item and table cell. Code blocks are left out."""
    block, first, in_list = [], 0, False
    for number, line in without_code(lines):
        is_row = line.startswith("|")
        if block and (is_row or not line.strip() or BEGINS_BLOCK.match(line)):
            yield first, "\n".join(block)
            block = []
        # Text that is indented by four columns is code, but below a list item it belongs to the item.
        in_list = bool(LIST_ITEM.match(line)) or in_list and (not line.strip() or line.startswith(" "))
        if is_row:
            yield from ((number, cell) for cell in re.split(r"(?<!\\)\|", line))
        elif line.strip() and (block or in_list or not line.startswith(("    ", "\t"))):
            first = first if block else number
            block.append(line)


def without_code(lines):
    """The numbered lines, with empty ones in place of fenced code, and an empty one at the end."""
    fence = None
    for number, line in enumerate([*lines, ""], 1):
        mark = FENCE.match(line)
        yield number, "" if fence or mark else line
        if mark:
            fence = mark[1] if not fence else None if mark[1] == fence else fence


# Code and the target of a link are one word and none; their line breaks stay.
CODE, LINK = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL), re.compile(r"\]\([^)]*\)")
ENDS_SENTENCE = re.compile(r"[.!?][\"')*_\]”’]*$")
ABBREVIATIONS = {"e.g.", "i.e.", "cf.", "vs."}


def sentences(first, text):
    """The line where each sentence begins, and the number of its words."""
    text = CODE.sub(lambda code: "code" + "\n" * code[0].count("\n"), text)
    text = LINK.sub(lambda link: "]" + "\n" * link[0].count("\n"), text)
    begin, count = first, 0
    for number, line in enumerate(text.split("\n"), first):
        for word in line.split():
            begin = begin if count else number
            count += any(character.isalnum() for character in word)
            if count and ENDS_SENTENCE.search(word) and word.lstrip("(").lower() not in ABBREVIATIONS:
                yield begin, count
                count = 0
    if count:
        yield begin, count


CHECKS = (doc_comments, long_sentences)
