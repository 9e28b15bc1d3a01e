"""`local.file`: a text file, given as it is or rendered from a template. Its live content is read back, so an edit shows."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import field_validator

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import Sensitive, Unknown
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_local import marks
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import guard, inside, parents, prune, refused, source
from mlinfra_local.writing import discard_unfinished, write


class LocalFile(Resource):
    """A text file below the blueprint's folder.

    Example::

        resource:
          greeting: { type: local.file, path: out/hello.txt, template: hello.txt.j2, values: { name: Ada } }
    """

    type: ClassVar[str] = "local.file"
    looks_outside: ClassVar[bool] = True

    path: Annotated[str, REPLACE]
    """Where it lies, relative to the blueprint's folder."""
    content: str | None = None
    """Its text. Either this or ``template``."""
    template: str | None = None
    """A Jinja2 template, relative to the blueprint's folder, which is rendered in a sandbox with ``values``."""
    values: dict[str, Any] = {}
    mode: str = "0644"
    """Permissions, octal."""
    sha256: Annotated[str | None, COMPUTED] = None
    """The digest of the content, hexadecimal."""

    @field_validator("mode", mode="before")
    @classmethod
    def _octal(cls, value: Any) -> str:
        return octal(value)

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        content = fields["content"]
        if (content is None) == (fields["template"] is None):
            raise ProviderError(
                f'the file {fields["path"]} needs one of "content" and "template"',
                remedy="Give the text as content, or the path of a Jinja2 template as template.",
            )
        if content is None:
            content = rendered(fields["template"], fields["values"], place)
        return {
            **fields,
            "path": inside(fields["path"], place),
            "content": content,
            "template": None,
            "values": {},
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
        }

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        path = Path(known.id)
        try:
            raw = path.read_bytes()
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return {"path": known.id} if marks.find(client, known.id) else None
        except IsADirectoryError:
            raise ProviderError(f"{path} was a file and is a folder now", remedy="Move the folder away.") from None
        except OSError as error:
            raise refused(error, path) from error
        return {
            "path": known.id,
            "content": raw.decode("utf-8", "replace"),
            "mode": f"{stat.S_IMODE(mode):04o}",
            "sha256": hashlib.sha256(raw).hexdigest(),
        }

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        return self.path if marks.ours(marks.find(client, self.path), op) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        assert self.content is not None
        claimed(client, self.path, self.content.encode(), int(self.mode, 8), op)
        return Created(self.path)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        assert self.content is not None
        rewrite(client, known.id, self.content.encode(), int(self.mode, 8))
        return None

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        remove(client, known.id)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        if any(change.path == "mode" and change.old is None for change in changes):
            return "deleted → written again"
        told = []
        for change in changes:
            if change.path == "mode":
                told.append(f"mode {change.old} → {change.new}")
            elif change.path == "content":
                lines = differing(change.old, change.new)
                told.append(f"content differs in {lines}" if lines else "content differs")
            else:
                return None
        return ", ".join(told)


def claimed(client: LocalClient, path: str, content: bytes, mode: int, op: Operation) -> None:
    """Make a file that was not there, with its mark; nothing of it stays if that fails.

    Errors: NotOurs if somebody else made it; ProviderError if it cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise NotOurs(f"{path} is a folder", remedy="Move it away, or choose another path.")
    there = target.exists() or target.is_symlink()
    marks.claim(client, path, op, there=there)
    try:
        rewrite(client, path, content, mode)
    except ProviderError:
        if not there:
            remove(client, path)
        raise


def rewrite(client: LocalClient, path: str, content: bytes, mode: int) -> None:
    """Put a content into a file of ours, and its folders back if they are gone.

    Errors: ProviderError if it cannot be written.
    """
    target = Path(path)
    guard(client, target)
    write(target, content, mode, within=parents(client, target))


def remove(client: LocalClient, path: str) -> None:
    """Remove a file of ours, what writers left of it, its mark, and folders that are empty then.

    Errors: NotOurs if somebody else made it; ProviderError if it cannot be removed.
    """
    target = Path(path)
    guard(client, target)
    mark = marks.find(client, path)
    if mark is None and target.exists():
        raise NotOurs(
            f"{path} has no mark of mlinfra any more, so it may be somebody else's",
            remedy="Remove it yourself if it is not needed, then apply again.",
        )
    try:
        target.unlink(missing_ok=True)
        discard_unfinished(target)
    except NotADirectoryError:
        pass  # its folder is gone, and a file of somebody else stands in its place
    except OSError as error:
        raise refused(error, target) from error
    prune(client, target)
    marks.remove(client, path)


def rendered(template: str, values: Mapping[str, Any], place: Place) -> str:
    """A template's text with its values, in a sandbox: no files but its own folder's, no undefined names.

    Errors: ProviderError with the template's line for a mistake in it.
    """
    from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    path = source(template, place, "template")
    if not path.is_file():
        raise ProviderError(f"the template {template} is not there", remedy=f"Create {path}, or correct the path.")
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(path.parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    try:
        return environment.get_template(path.name).render(dict(values))
    except (TemplateError, UnicodeDecodeError, TypeError, ArithmeticError, LookupError) as error:
        line = getattr(error, "lineno", None)
        where = f"{template}, line {line}" if line else template
        raise ProviderError(
            f"the template {where} cannot be rendered: {error}", remedy="Correct the template or its values."
        ) from error


def differing(old: Any, new: Any) -> str:
    """``3 lines``: how many lines two texts differ in, and which one if it is only one; empty if that cannot be told."""
    if isinstance(old, Sensitive) or isinstance(new, Sensitive | Unknown):
        return ""
    if not isinstance(old, str) or not isinstance(new, str):
        return ""
    left, right = old.splitlines(), new.splitlines()
    if len(left) + len(right) > 4_000:
        return ""
    opcodes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    changed = [(left[a:b], right[c:d]) for tag, a, b, c, d in opcodes if tag != "equal"]
    count = sum(max(len(before), len(after)) for before, after in changed)
    if count == 1:
        ((before, after),) = changed
        return f"1 line: {_line(before)} → {_line(after)}"
    return f"{count} lines" if count else "line ends only"


def _line(lines: Sequence[str]) -> str:
    """A line, or none, as a short text."""
    text = lines[0].strip().rstrip(",") if lines else "nothing"
    return f"{text[:47]}…" if len(text) > 48 else text


def octal(value: Any) -> str:
    """Permissions as four octal digits.

    Errors: ValueError for anything else.
    """
    text = str(value).removeprefix("0o")  # YAML 1.2 reads 0644 as the number 644: its digits are meant as octal
    try:
        number = int(text, 8)
    except ValueError:
        raise ValueError(f"{value!r} are not octal permissions like 0644") from None
    if not 0 <= number <= 0o7777:
        raise ValueError(f"{value!r} are not octal permissions like 0644")
    return f"{number:04o}"
