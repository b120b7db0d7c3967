"""The functions of a source: name, first line and length in lines, from the declaration to the closing brace."""

import ast
import re
from dataclasses import dataclass

from code_text import blank, closing


@dataclass(frozen=True)
class Function:
    name: str
    first: int
    length: int


def find(source):
    return {"swift": swift, "c": c, "python": python, "shell": shell}.get(source.language, lambda _: ())(source)


def spanning(name, text, begin, end):
    """The function from one offset to another."""
    first = text.count("\n", 0, begin) + 1
    return Function(name, first, text.count("\n", begin, end) + 1)


# `self.init`, `.init` are calls.
SWIFT_DECLARATION = re.compile(
    r"(?<![.\w])(?:func\s+(?P<func>`?\w+`?|[^\s\w(]+)|(?P<init>init)\b[?!]?(?=\s*[(<])|"
    r"(?P<subscript>subscript)\b(?=\s*[(<])|(?P<deinit>deinit)\b|var\s+(?P<var>`?\w+`?)\s*:)")
# What ends a signature without a body, as in a protocol.
SWIFT_NEXT = re.compile(
    r"[{}(\[;]|\b(?:func|var|let|init|deinit|subscript|static|mutating|package|public|private|fileprivate|internal|"
    r"associatedtype|typealias|struct|enum|extension|protocol|actor|case|nonisolated)\b")
# What ends the type of a property without a getter.
SWIFT_TYPE_END = re.compile(r"[{}(\[;=\n,)]")


def swift(source):
    text = blank(source.text, "swift")
    for match in SWIFT_DECLARATION.finditer(text):
        name = next(filter(None, match.groups()))
        position = match.end()
        if match["func"] or match["init"] or match["subscript"]:
            parameters = text.find("(", position)
            position = closing(text, parameters) + 1 if parameters >= 0 else len(text)
        body = body_after(text, position, SWIFT_TYPE_END if match["var"] else SWIFT_NEXT)
        if body is not None:
            yield spanning(name, text, match.start(), closing(text, body))


def body_after(text, position, ends):
    """The offset of the brace that begins the body, or None."""
    while match := ends.search(text, position):
        if match[0] == "{":
            return match.start()
        if match[0] not in ("(", "["):
            return None
        position = closing(text, match.start()) + 1
    return None


def c(source):
    text = blank(source.text, "c")
    position = 0
    while (brace := text.find("{", position)) >= 0:
        end = closing(text, brace)
        # Outside of braces, only a function has one after parentheses. Its name is before the first of them.
        declaration = text[max(text.rfind(mark, position, brace) for mark in ";}") + 1 if position else 0:brace]
        name = re.search(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*$", declaration)
        if name:
            yield spanning(name[1], text, brace - len(declaration) + name.start(), end)
        position = end + 1


def python(source):
    try:
        tree = ast.parse(source.text)
    except SyntaxError:  # hack/check reports it.
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(node.name, node.lineno, node.end_lineno - node.lineno + 1)


SHELL_FUNCTION = re.compile(r"(\s*)(?:function\s+)?([\w.:-]+)\s*\(\)\s*([{(])(?!.*[)}]\s*(?:#.*)?$)")
HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


def shell(source):
    """A function that is longer than a line ends where its closing brace has the indentation of its name."""
    open_functions, document = [], None
    for number, line in enumerate(source.lines, 1):
        if document:
            document = None if line.strip() == document else document
            continue
        if match := SHELL_FUNCTION.match(line):
            open_functions.append((match[1] + {"{": "}", "(": ")"}[match[3]], match[2], number))
        elif open_functions and line.startswith(open_functions[-1][0]):
            _, name, first = open_functions.pop()
            yield Function(name, first, number - first + 1)
        if begins := HERE_DOCUMENT.search(line.replace("<<<", "")):
            document = begins[2]
