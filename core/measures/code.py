"""Does an answer contain code? Deterministic, with the evidence; text is only looked at, never executed.

A line is *certain* code (no sentence looks like it), *likely* code (a sentence seldom does) or *weak* (it may stand
between lines of code). One certain line or two likely ones in a run are code, and so is a fenced block whose tag names
a language or whose body has one likely line. Mathematics, tables, lists, clauses and prose about code are not code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, cast

Rule = Literal["fence", "import", "definition", "control", "statement", "query", "shell", "markup", "data", "lines"]
DETECTOR_VERSION: int = 2

ENOUGH = 2  # points of a run that make it code; inside a fence one is enough
HEAD, TAIL = 200, 50  # characters of a long line that are looked at, so that the work grows with the text only

_LANGUAGES = re.compile(  # tags of a fence; under any other tag the body decides
    r"""asm|awk|bash|bat|c|c\#|c\+\+|clojure|cmake|console|cpp|cs|csharp|css|dart|diff|dockerfile|elixir|erlang|fortran
    |go|golang|graphql|groovy|haskell|hcl|html|ini|java|javascript|js|jsonc?|jsx|julia|kotlin|lisp|lua|make(file)?|matlab|nginx
    |ocaml|pascal|perl|php|powershell|prolog|py|pycon|python[23]?|r|rb|ruby|rs|rust|scala|scheme|scss|sh|shell|(\w+)?sql
    |svelte|swift|tcl|terraform|toml|tsx?|typescript|vba?|verilog|vhdl|vue|xml|ya?ml|zig|zsh""",
    re.X,
)
_WORDS = {
    "TYPE": r"(?:int|char|float|bool|boolean|void|String|size_t|unsigned|u?int\d+(?:_t)?|std::[\w<>:]++)",
    "MODIFIER": r"(?:public|private|protected|internal|static|final|abstract|override|virtual|inline|extern|export)",
    "MATHS": r"(?:a?(?:sin|cos|tan)h?|arc\w+|log\d*|ln|exp|sqrt|max|min|abs|lim|sum|det|gcd|mod|var|cov|mean|std)",
    "COMMAND": r"""(?:ls|cd|mkdir|rm|cp|mv|cat|grep|curl|wget|chmod|chown|tar|ssh|scp|find|sed|awk|ps|touch|node|ba?sh
        |python[23]?|source|make|gcc|g\+\+|javac?|rsync|head|tail|sort|tee|diff|echo|kill|unzip|zip|@MANAGER@)""",
    "MANAGER": r"(?:pip3?|npm|npx|yarn|brew|git|docker(?:-compose)?|kubectl|cargo|conda|systemctl|apt(?:-get)?)",
    "ACTION": r"""(?:install|uninstall|update|upgrade|commit|push|pull|clone|add|init|status|checkout|merge|rebase|run
        |build|start|test|compose|exec|apply|get|create|ps|up|log|diff|branch|enable|restart)""",
    "TAG": r"""(?:html|head|body|div|span|p|a|ul|ol|li|table|tr|td|th|h[1-6]|img|br|hr|form|input|button|script|style
        |link|meta|title|section|header|footer|nav|main|article|strong|em|b|i|u|svg|path|label|select|option|textarea
        |iframe|video|audio|pre|code|template|blockquote)""",
    "NAME": r"[A-Za-z_]\w*+",
    "STRING": r"""(?:"[^"]*+"|'[^']*+')""",
}


def _pattern(source: str) -> re.Pattern[str]:
    """A verbose pattern, matched against stripped lines; `@NAME@` in it stands for an entry of `_WORDS`."""
    for _ in range(2):
        source = re.sub(r"@(\w+)@", lambda match: _WORDS[match[1]], source)
    return re.compile(source, re.X)


# One certain line is code. The group that matched is the rule of the evidence.
_CERTAIN = _pattern(
    r"""
    (?P<import>
        (?:from\s+[\w.-]++\s+)?import\s+(?:\*|\(|[\w.]++\*?(?:\s+as\s+\w++)?(?:\s*+,\s*+[\w.]++(?:\s+as\s+\w++)?)*+)
            \s*+[,;\\]?\s*+(?:(?:\#|//).*)?$
      | from\s+[\w.-]++\s+import\s*+(?:\(.*)?$ | from\s+(?:\w++\.[\w.]++|\w*_\w*+)\s+import\b
      | (?:import|export)\b.*\bfrom\s+['"] | import\s+['"(] | require(?:_once|_relative)?\s*\(?\s*['"] | library\(\w+\)
      | \#\s*include\s*[<"] | \#(?:define|ifn?def|pragma)\s+\w | using\s+(?:namespace\s+)?[\w.:]++;
      | use\s+(?:\w++(?:::|\\).*|strict|warnings); | package\s+(?:main|\w++;|\w++\.[\w.]++;?)$
    )
  | (?P<definition>
        (?:async\s+)?def\s+\w++(?:\(|\s*+=|\[|\s+\((?:self|\w*\)\s*:)) | def\s+\w*_\w*+$ | @\w++[\w.]*+\(
      | class\s+@NAME@(?:\([^()]*+\)?:?$|\s+(?:extends|implements)\s+[A-Z]) | typedef\s+\w | template\s*<
      | (?:@MODIFIER@\s+)*+(?:default\s+)?(?:async\s+)?function\s*+\*?\s*+(?:\w{2,}+\(|\w*+\([^()]*+\)\s*+(?:\{|$))
      | (?:pub\s+|suspend\s+)?(?:fn|func|fun)\s+(?:\([^)]*+\)\s*+)?\w++[(<] | function\s+\[?\w[\w, ]*+\]?\s*=\s*\w++\(
      | (?:@MODIFIER@\s+)++(?:@TYPE@\b|(?:[\w<>\[\],.]++\s+)*?\w++\(|(?:class|interface|enum|const|let|function)\s+\w)
      | (?:const\s+)?@TYPE@(?:\s*[*&]++|\s+)\s*+[*&]*\w++(?:\[\w*\])?\s*+(?:;|=|\([^.!?]*[){;,]?$)
      | (?:\w++\s+)?\w++\s+\w++\((?:const\s+)?@TYPE@\b | let\s+\w\s*=.*;$ | (?:const|let|var)\s*[{\[].*=
      | (?:var|const|val|my|local|let(?!\s+\w\s*=)|auto|double|long|short|string)\s+(?:mut\s+)?[$@%]?\w++
            (?:\s*:\s*[\w<>\[\]&?]++)?\s*+=(?!=)
      | [a-z][\w()=]*+'?\s+::\s | main\s*=\s | \((?:defun|defn|defmacro|defvar|setq|println|ns|define)\s | \(let\s*[(\[]
      | (?i:dim\s+\w++\s+as\s+\w|implicit\s+none|end\s*(?:subroutine|function|module|program|sub)\b) | section\s+\.\w
    )
  | (?P<control>
        (?:if|elif|while)\s+(?=.*(?:==|!=|\w\(|\w\.\w|\w_\w|\w\[|\b(?:None|True|False)\b)).*:$ | while\s+(?:True|1):
      | (?:async\s+)?for\s+\(?\w++(?:\s*+,\s*+\(?\w++\)?)*+\)?\s+in\s+(?:range|enumerate|zip|sorted|reversed)\b
      | (?:async\s+)?for\s+\w++(?:\s*+,\s*+\w++)*+\s+in\s+(?:[\w.]*[_.]\w++|\w++\[|[\w.]++\(|\[).*:
      | (?:async\s+)?with\s+(?:[\w.]++\(|[\w.]++\s+as\s+\w++:$) | except\s+\(?[\w.]*(?:Error|Exception|Interrupt)\b
      | \}\s*(?:else|catch|finally|while)\b | for\s*\(\s*(?:\w++\s+\w++\s*(?:=|:|of\b|in\b)|\w++\s*=)
      | (?:if|while|until|for)\s.*;\s*(?:do|then)$ | (?:el)?if\s+\[\[?\s.*\]
      | (?:if|while|switch|foreach|catch|else\s+if)\s*\(.*\)\s*(?:\{|(?:return|break|continue|throw)\b.*;$)
      | return\s+(?:[\w.]++(?:\(|\[["'])|["'f{\[(]["'{\[]|(?:None|True|False|null|self)\b|.*[=(.].*;$)
      | raise\s+\w*(?:\(|Error|Exception) | throw\s+new\b | assert\s+\w++[\w.\[\]'"]*+(?:\(|\s*[=!<>]=)
      | (?:await|yield|defer|go)\s+\w++[.(\[] | .*\bdo\s*\|[\w, ]+\|$
    )
  | (?P<statement>
        (?!www\.)[A-Za-z_$][\w$]*+(?:(?:\.|->|::)\w++)++!?(?:\[\w++\])?
            \((?![^()]*+\)[,;]?\s+(?!if\b|unless\b|for\b|or\b)[a-z]+\s)
      | (?:print|println!?|printf|puts|echo|input|super|alert|exit|main|assert\w*+|len|type|str|int|open)
            \((?:[^)].*\)[;:]?$|[fbr]?["'])
      | @NAME@!?\(\s*[fbr]?@STRING@.*\)[;:]?$ | (?=\w*_)[a-z_]\w*+!?\((?:\);|(?!s?\)).*\)[;:,]?)$ | \[.*?\]\.\w++\(
      | (?:print|puts|echo)\s+[fbr]?(?:["'].*["'];?|\$\w.*|\w+\(.*\))$ | (?:std::)?(?:cout|cerr)\s*<< | \$\(['"]
      | [A-Za-z_$][\w$.]*+(?:\[@STRING@\])?(?:\s*+,\s*+[\w.]++)*+(?:\s*+:\s*+[\w.\[\], |]+?)?
            \s*+(?:[-+*/|]|//|:)?=(?!=)\s*+
            (?: (?:await\s+|new\s+|not\s+)?(?!@MATHS@\()(?:\w++\.)*+[A-Za-z_]\w{2,}+!?\((?!\s*[\d.]+\s*[-+±])
              | [fbru]{0,2}["'`]\S | (?:["'`]{2}|\[\]|\{\});?$ | [\[{(]\s*(?:["'{\[]|$|.*\bfor\s+\w++\s+in\b)
              | (?:True|False|None|null|nil|undefined|self|this|new|lambda|function)\b | (?:os|sys|np|pd|math)\.\w
              | \w++\[["'] | (?:async\s+)?(?:\([^()]*+\)|\w++)\s*=>
            )
      | (?:self\.\w++(?:\.\w++|\[.*?\])*+|@NAME@\[@STRING@\])\s*[-+*/]?=
      | @NAME@\s*(?:[-+*/]|<<|>>|\*\*|//)=\s*+[\w("'-]
      | \w++\s*:\s*(?:int|str|float|bool|list|dict|tuple|set|List|Dict|Optional|number|string|boolean)\b.*?=(?!=)
      | [A-Za-z][\w.]*+\s*+<-\s*+(?:function\b|[\w.]++\(|["']) | \$@NAME@\s*(?:[-+.*/]?=(?!=)|->|\[|\+\+|--)
      | @NAME@(?:(?:->|::)\w.*|\+\+|--);$ | \w++\s+:=\s+(?:range\b|[\w.]{3,}\(|["'&\[{]) | [A-Z]\w*_\w+=\S+$
      | (?i:mov|lea|xor|cmp|push|pop|add|sub)[lqwb]?\s+%?(?i:[er]?[abcd]x|[er][sd]i|[er][sb]p)\b
    )
  | (?P<query>(?=.*[a-z;(*=])(?:
        SELECT\s+(?:\*|(?:DISTINCT\s+)?[\w("'`].*\sFROM\s+[\w("'`]) | (?:INSERT\s+INTO|DELETE\s+FROM)\s+[\w"`]
      | UPDATE\s+\S+\s+SET\s | (?:CREATE|DROP|ALTER|TRUNCATE)\s+(?:[A-Z]++\s+)++[\w(@"`] | (?:GROUP|ORDER)\s+BY\s+[\w.(]
      | (?i:create\s+table)\s.*\( | (?:INNER\s+|LEFT\s+|RIGHT\s+|OUTER\s+)*JOIN\s+\w.*\sON\s | MATCH\s+\(.*\)
      | select\s+(?:\*|[\w.]++(?:\s*,\s*[\w.]++)*+)\s+from\s+\w++(?:\s*;|\s+where\s.*[=<>]|.*;$)
    ))
  | (?P<shell>
        \#!\s*/ | \$\s+(?!(?:per|a|in)\b)(?:[.~/]|[a-z][\w-]*+(?:\s|$)) | [\w.-]++@[\w-]++:\S*[$\#]\s | C:\\.*>
      | >>>\s+(?:(?:import|from|def|for|print|class)\b|[\w.]++(?:\[.*?\])?(?:\s*=|\()) | Traceback\ \(most\ recent
      | sudo\s+[a-z][\w-]*+\s+\S | export\s+\w++= | (?:Get|Set|New|Write|Invoke)-[A-Z][a-z]\w+(?:\s+[-"'$]|\s*\||$)
      | @MANAGER@\s+(?:-\S+\s+)?@ACTION@(?:\s+[\w.@/:=~-]++){0,2}(?:\s+(?:-|["']).*)?(?<![.!?])$
      | @COMMAND@\s+(?![^"']*(?:\s[a-z]{2,}){4})(?:[\w./]++\s+)?(?:-{1,2}[A-Za-z]|\+[rwx]|~?\.{0,2}/\w|https?://|["'$*]\S
            |\S+\.(?:py|sh|js|c|cpp|txt|jar)\b).*(?<![.!?])$
      | (?:RUN|CMD|ENTRYPOINT)\s+(?:\[|[a-z]) | FROM\s+[a-z][\w./-]*+:[\w.-]++ | (?:WORKDIR|COPY|ADD)\s+[./]
    )
  | (?P<markup>
        <!(?:DOCTYPE|--) | <\?(?:xml|php) | </[A-Za-z][\w:.-]*+\s*+> | <@TAG@(?:\s+[\w:@-]++\s*=.*|\s*+/?>)
      | <[A-Za-z][\w:.-]*+(?:\s+[\w:.@-]++\s*=\s*["'{]|>.*</\w++>|\s*+/>) | \{%-?\s\w
      | \\(?:documentclass|usepackage|(?:sub)*section\*?\{|maketitle|item\s)
      | \\begin\{(?!(?:equation|align|gather|[pbBvV]?matrix|cases|array|split|multline))
    )
  | (?P<data>
        @STRING@\s*:\s*(?=["'\d\[{(-]|true|false|null|None|True|False).*[,\[{(]$ | \[?\{\s*@STRING@\s*:
      | [a-z]+(?:-[a-z]+)+\s*:\s*[^;]+;\s*\}?$ | @(?:media|import|keyframes|font-face|charset)\b
      | [a-z]+\s*:\s*(?:\#[\da-f]{3,6}|[\d.]+(?:px|r?em|vh|vw)|rgba?\()\b.*;\s*\}?$
      | [^{}]*\{[^{}]*[;:][^{}]*;\s*\}$ | (?=.*\w)[\w@.\#*:&\[\]"'(<>,=$!|+\s)/~-]+\{$
    )"""
)
_LIKELY = _pattern(
    r"""
    class\s+[A-Z]\w*:$ | def\s+[a-z]\w*[?!]?$ | @(?:property|staticmethod|classmethod|dataclass|Override|Test)$
  | for\s+\w+(?:\s*,\s*\w+)*\s+in\s+\w+:$ | (?:if|elif|while)\s.*[<>].*:$ | if\s+(?:not\s+)?\w+:$
  | (?:try|else|except|finally):$ | return\s+\w+;?$ | (?:pass|break|continue|return)[;)]?$ | print\s*\(
  | (?!@MATHS@\()[A-Za-z]\w{2,}+\((?!\d+\)|e?s\))[^()]*(?:\(.*\))?[^()]*\)[;.]?$
  | [a-z_]\w+\.\w+\s=\s\S+$ | \w+\[\w+\]\s*[-+*/]?=\s | \w*[a-z]_[a-z]\w*\s*=\s*\S | \w+\s*=\s*(?:true|false);?$
  | [a-z]\w+\s:=\s | [A-Za-z_]\w+\s*=\s*[^=]*;$ | [A-Za-z][\w.]*\s<-\s\S | ([A-Za-z_]\w*)\s*=\s*\1\s*[-+*/]
  | \w+(?:<\w+>)?[*&]?\s[*&]?\w+\s*(?:=.*|\(.*\)|\[\w*\]);$ | [a-z_]\w*(?:,\s*[a-z_]\w*)+\s=\s[^=]*,
  | [a-z][\w.-]{2,}=[^\s\d]\S*$ | \w+\s*\+?=\s*\w+\s*\?\s.*: | .*\)\s*(?:\{|=>)$ | (?:puts|echo)\s+\S | cd\s+\S+$
  | (?:SELECT|FROM|WHERE|VALUES|SET|LIMIT|HAVING|COPY|ENV|EXPOSE)\s+(?=\S*[a-z\d(])\S+ | \|\s*(?:grep|awk|sed|sort|wc)\b
  | ["'][\w.-]+["']\s*:\s*(?:["'\d\[{]|true|false|null) | \w+:\s*(?:string|number|boolean|int|str|float)[;,]?$
  | (?:-\s)?[a-z]\w*:\s(?:true|false|["'][^"']*["']|[/.~]\S+|[a-z][\w-]*[:/][\w./-]+|\[\w[\w, ]*\]|[|>]-?)$
  | (?:-\s)?[a-z]+_\w+:\s\S
    """
)
# signs of different kinds: two kinds in one line are likely code, in whatever language, unless it is mathematics
_SIGNS = _pattern(r"""
    (?P<end>;$) | (?P<brace>[{}]) | (?P<call>[A-Za-z_]{3,}\((?!e?s\)|\d+\))) | (?P<arrow>->|=>|::|:=)
    | (?P<logic>&&|\|\||[=!<>]=|\+\+) | (?P<index>\w\[) | (?P<sigil>\$\w|\$\{|\B[@%][a-z]\w)
    | (?P<string>["'][^"']*["']\s*[,)\]};]) | (?P<name>[a-z]_[a-z]|[a-z]\.[a-z]\w*\()""")
_MATHEMATICS = re.compile(r"[\^²³±×÷·√π∑∫≤≥≠≈∈∀∃→]|\\(?:frac|sqrt|sum|int|cdot|times|text|left|begin|pi)\b|\$\$")
_SENTENCE = re.compile(r"(?:\b[A-Za-z][a-z']+[ ,]+){4}")  # four words in a row
_WEAK = re.compile(r"[#/*)}\]({\[<'\"@%$&;|]|.*[;{}()\[\]\\=]$|.*\w\s*=\s|(?:pass|break|continue|end|fi|done)\b")
# nothing else is worth a closer look: a sign that sentences seldom have, or a word that opens a statement
_WORTH = _pattern(
    r"""[^\w\s,!?'’.–—-] | \w\.\w | \s\.\w | _ | \A(?:from|import|def|class|return|raise|assert|yield|package|print|puts
    |sudo|@COMMAND@|@MODIFIER@|(?i:dim|end|implicit|mov|lea|xor|cmp|push|pop|add|sub)|[A-Z]{3,})\b"""
)
_NESTED = re.compile(  # YAML: keys in keys in keys, or a list of mappings
    r"""^([ ]*+)[a-z_][\w.-]*+:[ ]*+\n(\1[ ]++)["'\w.-]++:[ ]*+\n\2[ ]+\S
      | ^([ ]*+)-[ ]+[a-z_]\w*+:[ ].*\n\3[ ]+[a-z_]\w*+:(?:[ ]|$)""",
    re.M | re.X,
)
_FENCE = re.compile(r"(?:```+|~~~+)\s*\{?\.?([\w+#-]*)[^`]*$")
_QUOTED = re.compile(r"(?:[-*+]\s+|\d+[.)]\s+)?`++([^`]+)`++$")  # a line that is nothing but one inline command


@dataclass(frozen=True)
class Evidence:
    """Where the code stands: `text[start:end]`, and the rule that found it."""

    start: int
    end: int
    rule: Rule


class _Line(NamedTuple):
    """A line that is not blank: where its row begins, and its text without the space around it."""

    number: int
    row: int
    start: int
    end: int
    text: str


def find_code(text: str) -> list[Evidence]:
    """Evidence of code in an answer, in order and apart from each other; empty where there is none."""
    nested = {match.start() for match in _NESTED.finditer(text)}
    found: list[Evidence] = []
    lines: list[_Line] = []  # since the last fence mark
    language: str | None = None  # the tag of the open fence, "" without one; None outside fences
    for line in _lines(text):
        mark = _FENCE.match(line.text)
        if mark is None:
            lines.append(line)
            continue
        closes = language is not None and not mark[1]  # a mark with a tag opens another block
        lines += [line] if closes else []
        found += _runs(lines, nested, ENOUGH) if language is None else _fence(lines, language, nested)
        lines, language = ([], None) if closes else ([line], mark[1].lower())
    return found + (_runs(lines, nested, ENOUGH) if language is None else _fence(lines, language, nested))


def contains_code(text: str) -> bool:
    """Whether `find_code` finds anything."""
    return bool(find_code(text))


def _lines(text: str) -> Iterator[_Line]:
    place = 0
    for number, row in enumerate(text.split("\n")):
        bare = row.strip()
        if bare:
            start = place + len(row) - len(row.lstrip())
            yield _Line(number, place, start, start + len(bare), bare)
        place += len(row) + 1


def _fence(lines: list[_Line], language: str, nested: set[int]) -> list[Evidence]:
    """A fenced block with its marks, closed or not: code unless it is prose that a model put into a box."""
    if _LANGUAGES.fullmatch(language) or _runs(lines[1:], nested, ENOUGH - 1):
        return [Evidence(lines[0].start, lines[-1].end, "fence")]
    return []


def _runs(lines: list[_Line], nested: set[int], enough: int) -> list[Evidence]:
    """Runs of lines that have `enough` points together.

    Weak, indented and blank lines do not end a run; weak and indented ones belong to its span if a line of code
    follows, or if no blank line parts them from the code before.
    """
    found: list[Evidence] = []
    first: _Line | None = None
    last: _Line | None = None
    rule: Rule = "lines"
    total = 0

    def close() -> None:
        if first and last and total >= enough:
            found.append(Evidence(first.start, last.end, rule))

    for line in lines:
        points, kind = _judge(line.text, line.row in nested)
        if points > 0 or (first is None and line.text in ("{", "[", "(")):
            first, last = first or line, line
            total += max(points, 0)
            rule = rule if rule != "lines" else kind
        elif first and last and (points == 0 or line.start > line.row):
            last = line if line.number == last.number + 1 else last
        else:
            close()
            first = last = None
            rule, total = "lines", 0
    close()
    return found


@lru_cache(maxsize=1024)  # answers that break down repeat their lines
def _judge(text: str, opens_nested_keys: bool) -> tuple[int, Rule]:
    """Points of a line without space around it, and the rule: 2 certain, 1 likely, 0 weak, −1 not code."""
    if opens_nested_keys:
        return ENOUGH, "data"
    if not _WORTH.search(text):
        return (0 if _WEAK.match(text) else -1), "lines"
    if len(text) > HEAD + TAIL:
        text = text[:HEAD] + text[-TAIL:]
    quoted = _QUOTED.match(text)
    text = quoted[1] if quoted else text
    certain = _CERTAIN.match(text)
    if certain:
        return ENOUGH, cast(Rule, certain.lastgroup)
    if (_LIKELY.match(text) or _has_signs(text)) and not _SENTENCE.search(text):
        return 1, "lines"
    return (0 if _WEAK.match(text) else -1), "lines"


def _has_signs(text: str) -> bool:
    kinds = {match.lastgroup for match in _SIGNS.finditer(text)}
    return len(kinds) >= 2 and not _MATHEMATICS.search(text)
