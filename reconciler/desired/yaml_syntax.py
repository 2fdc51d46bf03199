"""What the YAML parser says of broken syntax → a problem that a person can act on."""

from reconciler.desired.problem import Problem
from reconciler.desired.refusal import show


def syntax_problem(file: str, text: str, error: Exception) -> Problem:
    """What the parser said, in our form, at the place a person should look at."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    opened = getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or "it cannot be read"
    if mark is None:
        return Problem(file, 1, 1, "", "SS-Y01", f"cannot read this as YAML: {show(str(error), 120)}. Mend the syntax here.")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return Problem(
            file, mark.line + 1, indent.index("\t") + 1, "", "SS-Y13", "a tab indents this line. YAML takes spaces only: use two."
        )
    if "end of stream" in said and opened is not None:
        message = "this is opened here and never closed. Add the closing quote or bracket."
        return Problem(file, opened.line + 1, opened.column + 1, "", "SS-Y01", message)
    if not line[mark.column :].strip() and not "".join(lines[mark.line + 1 :]).strip():
        last = max(index for index in range(len(lines)) if index == 0 or lines[index].strip())
        message = "the file ends in the middle of a value. Write the rest, or close the bracket or quote that is open."
        return Problem(file, last + 1, len(lines[last].rstrip()) + 1, "", "SS-Y01", message)
    if "anchor" in said or "alias" in said:
        return Problem(file, mark.line + 1, mark.column + 1, "", "SS-Y05", f"cannot read this as YAML: {said}. Write the value out.")
    hint = "Quote the text, or mend the indent, here or in the line above."
    return Problem(file, mark.line + 1, mark.column + 1, "", "SS-Y01", f"cannot read this as YAML: {said}. {hint}")
