"""A plan as people read it: grouped by component, what it means for the component first, unchanged things left out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from mlinfra.engine.plan import Action, Change, Node, Plan
from mlinfra.sdk.refs import Sensitive
from mlinfra.views.lines import Line, Style, counted, seconds, shown

_SYMBOLS: dict[Action, tuple[str, Style, str]] = {
    "create": ("+", "add", "create"),
    "adopt": ("+", "add", "take up"),
    "update": ("~", "change", "change"),
    "replace": ("±", "destroy", "replace"),
    "delete": ("-", "destroy", "destroy"),
    "forget": ("-", "dim", "forget"),
    "run": (">", "run", "run"),
    "wait": ("…", "run", "wait"),
}

_REASONS = {
    "drift": "changed outside mlinfra",
    "reset": "no longer in the blueprint",
}


def plan_lines(plan: Plan, *, details: bool = False) -> list[Line]:
    """The plan. With ``details`` every field of what is created or destroyed is shown as well."""
    lines: list[Line] = []
    if plan.empty:
        lines += _notes(plan)
        verb = "is" if plan.unchanged == 1 else "are"
        said = f" {counted(plan.unchanged, 'resource')} {verb} as the blueprint says."
        if plan.destroy:
            said = " Nothing is there that could be destroyed."
        lines.append([("No changes.", "bold"), (said, "")])
        lines.append(_cost(plan))
        return lines
    groups: dict[str, list[Node]] = {}
    for node in plan.shown():
        groups.setdefault(node.component, []).append(node)
    alone = False
    for component, nodes in groups.items():
        if [node.address for node in nodes] == [component]:
            # A resource of its own is no group.
            lines += _node(nodes[0], component, details, of=f"{component}  ")
            alone = True
            continue
        if alone:
            lines.append([])
        alone = False
        head: Line = [(component, "bold")]
        told = [h for h in plan.headlines if h.component == component]
        for number, headline in enumerate(told):
            head.append((", " if number else "  ", ""))
            if headline.before is None:
                head.append((f"{headline.name} {shown(headline.after)}", "dim"))
            else:
                head.append((f"{headline.name} {shown(headline.before)} → {shown(headline.after)}", "change"))
        lines.append(head)
        for node in nodes:
            lines += _node(node, component, details)
        lines.append([])
    if alone:
        lines.append([])
    lines += _notes(plan)
    lines.append([(summary(plan), "bold")])
    lines.append(_cost(plan))
    return lines


def summary(plan: Plan) -> str:
    """``Plan: 3 to add, 1 to change, 0 to destroy.``, with runs and waits if there are any."""
    counts = plan.counts()
    text = f"Plan: {counts['add']} to add, {counts['change']} to change, {counts['destroy']} to destroy"
    if counts["run"]:
        text += f", {counts['run']} to run"
    if counts["wait"]:
        text += f", {counts['wait']} to wait for"
    return text + "."


def _cost(plan: Plan) -> Line:
    cost = plan.cost
    if not cost.objects:
        return [("Nothing is there yet, so nothing was read.", "dim")]
    return [
        (f"{counted(cost.objects, 'object')} read in {counted(cost.calls, 'call')}, {seconds(cost.seconds)}.", "dim")
    ]


def _notes(plan: Plan) -> list[Line]:
    if not plan.notes:
        return []
    width = max(len(note.component) for note in plan.notes)
    rows: list[Line] = [[(f"{note.component:<{width}}  {note.text}", "dim")] for note in plan.notes]
    return [*rows, []]


def short(node: Node, component: str) -> str:
    """A node's name within its component."""
    if node.label:
        return node.label
    inner = node.address.removeprefix(f"{component}/")
    if inner == component:
        return node.type
    word, _, name = inner.partition(".")
    return word if word == name or not name else f"{word} {name}"


def _node(node: Node, component: str, details: bool, of: str = "") -> Iterator[Line]:
    symbol, style, verb = _SYMBOLS[node.action]
    indent = "" if of else "  "
    line: Line = [(f"{indent}{symbol} ", style), (of, "bold"), (short(node, component), "")]
    changes = node.changes
    if node.summary:
        line.append((f"  {node.summary}", style if node.action != "create" else "dim"))
        if changes and all(change.reason == "drift" for change in changes):
            line.append((f"  ({_REASONS['drift']})", "dim"))
    elif node.action in ("update", "replace") and len(changes) == 1 and not _multiline(changes[0]):
        line += [("  ", ""), *_change(changes[0])]
        changes = ()
    elif node.action not in ("create", "update"):
        line.append((f"  {verb}", "dim"))
    yield line
    if node.would_lose:
        yield [(f"      loses {node.would_lose}", "error")]
    if node.action in ("update", "replace") and (details or not node.summary):
        for change in changes:
            yield [("      ", ""), *_change(change)]
            yield from _text_diff(change)
    elif details:
        for change in changes:
            yield [(f"      {change.path}: {shown(change.after)}", "dim")]
        if node.action == "delete":
            for name, value in node.before.items():
                yield [(f"      {name}: {shown(value)}", "dim")]


def _change(change: Change) -> Line:
    line: Line = [(f"{change.path}: {shown(change.before)} → {shown(change.after)}", "")]
    reasons = [_REASONS[change.reason]] if change.reason in _REASONS else []
    if change.forces_replacement:
        reasons.append("forces replacement")
    if reasons:
        line.append((f"  ({', '.join(reasons)})", "destroy" if change.forces_replacement else "dim"))
    return line


def _multiline(change: Change) -> bool:
    """Whether a text diff tells more than the two values. Never of a secret: the diff would show it."""
    values = (change.before, change.after)
    if any(isinstance(value, Sensitive) for value in values):
        return False
    return any(isinstance(value, str) and "\n" in value for value in values)


def _text_diff(change: Change) -> Iterator[Line]:
    if not (_multiline(change) and isinstance(change.before, str) and isinstance(change.after, str)):
        return
    found: Sequence[str] = list(
        difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), lineterm="", n=1)
    )[2:]
    for text in found[:20]:
        style: Style = "add" if text.startswith("+") else "destroy" if text.startswith("-") else "dim"
        yield [(f"        {text}", style)]
    if len(found) > 20:
        yield [(f"        … {len(found) - 20} more lines", "dim")]
