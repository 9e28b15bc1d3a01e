"""`AwsResource`: what all resource types of AWS share: tags, adoption after a lost reply, reading in bulk, the account guard.

Knows no service. A type says how its objects are looked at (`look`), made (`make`), changed and deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from mlinfra.sdk.errors import NotOurs, ProviderError, Unreachable
from mlinfra.sdk.fields import COMPUTED, policies
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.shapes import absent, compact
from mlinfra_aws.tags import TagCalls, Tags, ours, own, set_and_removed, shown

STEPS = 5
"""In so many steps of an update replies may be lost before it is given up."""
BULK = 4
"""From so many objects on, tags are looked up in the index of all of them first."""


class Part(BaseModel):
    """A mapping within a resource's fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class AwsResource(Resource):
    """An object of AWS. Most are `Tagged`."""

    looks_first: ClassVar[bool] = False
    """Whether the API's create changes an object that exists without a word, so that it must be looked for first."""

    arn: Annotated[str | None, COMPUTED] = None
    """Its Amazon Resource Name."""

    # -- what a type says -----------------------------------------------------------------------------------------------

    def object_id(self) -> str:
        """The id that it has, if it can be told before it is made; mostly its name."""
        raise NotImplementedError

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        """Live fields by address in as few calls as there are. ``fields`` of what is known say what must be read: what is
        absent there was never declared, and need not be."""
        raise NotImplementedError

    def make(self, client: AwsClient, op: Operation) -> Created:
        """Create it. Raise AwsError as it comes if it exists."""
        raise NotImplementedError

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        """Make the fields named ``changed`` as they shall be; tags are done."""
        return None

    def held(self, client: AwsClient, id: str, live: Mapping[str, Any], op: Operation) -> bool:
        """Whether the live object is this resource's own. Without tags: whether it is as it shall be."""
        return all(live.get(name) == value for name, value in self._comparable().items())

    # -- what is the same for all ---------------------------------------------------------------------------------------

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        """One form for all ways to say nothing."""
        return {name: compact(value) for name, value in fields.items()}

    @classmethod
    def read_many(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        for item in known:
            elsewhere(client, item)
        return dict(cls.look(client, known))

    def fields(self, **more: Any) -> Fields:
        """Its own fields as a read would tell them, and ``more`` that a create told."""
        found = {**compact(self.model_dump(mode="json")), **more}
        return {name: value for name, value in found.items() if not absent(value)}

    def _comparable(self) -> Fields:
        table = policies(type(self))
        return {
            name: value
            for name, value in self.fields().items()
            if not (table[name].computed or table[name].write_only or table[name].owned)
        }

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        found = self.object_id()
        live = self._live(client, found, op)
        return found if live is not None and self.held(client, found, live, op) else None

    def create(self, client: AwsClient, op: Operation) -> Created:
        if self.looks_first and (live := self._live(client, self.object_id(), op)) is not None:
            return self._taken(client, self.object_id(), live, op)
        try:
            return self.make(client, op)
        except AwsError as error:
            if not error.exists:
                raise
            live = self._live(client, self.object_id(), op)
            if live is None:  # another account's, or it is just going
                raise
            return self._taken(client, self.object_id(), live, op)

    def _live(self, client: AwsClient, id: str, op: Operation) -> Fields | None:
        """The object as it is, with every field that this one has."""
        return self.look(client, [Known(op.address, id, self.fields())])[op.address]

    def _taken(self, client: AwsClient, id: str, live: Fields, op: Operation) -> Created:
        """What exists is ours (the reply to an earlier create was lost), or may be taken over; else it is refused."""
        held = self.held(client, id, live, op)
        if not held and not op.adopt:
            raise NotOurs(
                f"the {self._noun()} {id} exists, and {self.whose(client, id, live)}",
                remedy=f"Choose another name, or take it over with --adopt {op.address}.",
            )
        return self._converged(client, Known(op.address, id, live), op)

    def _converged(self, client: AwsClient, known: Known, op: Operation) -> Created:
        """Make an object that was there already as it shall be."""
        changes = [
            FieldChange(name, known.fields.get(name), value)
            for name, value in self._comparable().items()
            if value != known.fields.get(name)
        ]
        table = policies(type(self))
        fixed = [change.path for change in changes if table[change.path].replace]
        if fixed:
            raise ProviderError(
                f"the {self._noun()} {known.id} exists with another {', '.join(fixed)}, which cannot be changed",
                remedy=f"Delete it, or choose another name; what is there is {known.fields.get(fixed[0])!r}.",
            )
        if changes:
            self.update(client, known, changes, op)
        return Created(known.id)

    def whose(self, client: AwsClient, id: str, live: Mapping[str, Any]) -> str:
        """Why the live object is not this resource's own, as the end of a sentence."""
        return "it is not as this one shall be"

    def update(self, client: AwsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        changed = {change.path.partition(".")[0] for change in changes}
        for _ in range(STEPS):
            try:
                return self.change(client, known, changed, op)
            except AwsError as error:
                # Of a call that was tried again AWS may say that it cannot be done, since it is done already.
                live = self._live(client, known.id, op) if error.after_lost else None
                if live is None:
                    raise
                left = self._outstanding(changed, live)
                if not left:
                    return None
                if left == changed and all(live.get(name) == known.fields.get(name) for name in left):
                    raise  # nothing came of it
                known, changed = replace(known, fields={**known.fields, **live}), left
        return self.change(client, known, changed, op)

    def _outstanding(self, changed: set[str], live: Mapping[str, Any]) -> set[str]:
        """The changed fields that the live object does not have as they shall be, or that it cannot tell."""
        table, wanted = policies(type(self)), self._comparable()
        return {name for name in changed if table[name].write_only or compact(live.get(name)) != wanted.get(name)}

    @classmethod
    def _noun(cls) -> str:
        return cls.noun or cls.type.partition(".")[2].replace("_", " ")


class Tagged(AwsResource):
    """An object of AWS that carries tags, and so says itself whose it is."""

    tag_calls: ClassVar[TagCalls | None] = None
    """How its tags are read and written; None for a type that overrides `all_tags` and `write_tags`."""
    tagged_by: ClassVar[str] = "arn"
    """What its tag calls want to know it by: ``arn`` or ``id``."""

    tags: Tags = {}
    """Tags, besides those of the environment and those that say whose it is."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        """With the environment's tags."""
        return super().normalise({**fields, "tags": {**place.settings.get("tags", {}), **fields["tags"]}}, place)

    @classmethod
    def read_many(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        found = dict(super().read_many(client, known))
        for item in known:
            live = found.get(item.address)
            if isinstance(live, dict) and "tags" not in live and not absent(item.fields.get("tags")):
                live["tags"] = cls._tags(client, item, live, bulk=len(known) >= BULK)
        return found

    @classmethod
    def _tags(cls, client: AwsClient, item: Known, live: Fields, *, bulk: bool) -> dict[str, str]:
        """The tags shown. The index is believed when it says that nothing changed."""
        if bulk and live.get("arn"):
            indexed = client.index.tags(live["arn"])
            if indexed is not None and shown(indexed) == item.fields.get("tags"):
                return shown(indexed)
        return shown(cls.all_tags(client, item.id, live))

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        """All tags of the live object, those of ownership included."""
        assert cls.tag_calls is not None, f"{cls.type} says how itself"
        return cls.tag_calls.of(client, live["arn"] if cls.tagged_by == "arn" else id)

    @classmethod
    def write_tags(
        cls, client: AwsClient, id: str, live: Mapping[str, Any], put: Mapping[str, str], gone: Iterable[str]
    ) -> None:
        """Set and remove tags of the live object."""
        assert cls.tag_calls is not None, f"{cls.type} says how itself"
        cls.tag_calls.change(client, live["arn"] if cls.tagged_by == "arn" else id, put, gone)

    def owned(self, op: Operation) -> dict[str, str]:
        """The tags to write when it is made: the user's and those of ownership."""
        return own(self.tags, op.owner)

    def held(self, client: AwsClient, id: str, live: Mapping[str, Any], op: Operation) -> bool:
        return ours(self.all_tags(client, id, live), op.owner)

    def whose(self, client: AwsClient, id: str, live: Mapping[str, Any]) -> str:
        tags = self.all_tags(client, id, live)
        if "mlinfra:address" not in tags:
            return "no tag says that mlinfra made it"
        where = f"{tags.get('mlinfra:blueprint')} in {tags.get('mlinfra:environment')}"
        return f"its tags say that it is {tags['mlinfra:address']} of {where}"

    def _converged(self, client: AwsClient, known: Known, op: Operation) -> Created:
        tags = self.all_tags(client, known.id, known.fields)
        if not ours(tags, op.owner):
            self.write_tags(client, known.id, known.fields, op.owner, ())
        return super()._converged(client, Known(known.address, known.id, {**known.fields, "tags": shown(tags)}), op)

    def update(self, client: AwsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        put, gone = set_and_removed(self.tags, changes)
        if put or gone:
            self.write_tags(client, known.id, known.fields, put, gone)
        rest = [change for change in changes if change.path.partition(".")[0] != "tags"]
        return super().update(client, known, rest, op) if rest else None


def elsewhere(client: AwsClient, known: Known) -> None:
    """Refuse to look for an object in another account or region than it was made in: it would seem to be gone.

    Errors: ProviderError.
    """
    arn = known.fields.get("arn")
    if not isinstance(arn, str) or arn.count(":") < 5:
        return
    _, _, _, region, account, _ = arn.split(":", 5)
    wanted = client.settings
    wrong = [
        f"{word} {was}, and the environment says {now}"
        for word, was, now in (("region", region, wanted.region), ("account", account, wanted.account))
        if was and now and was != now
    ]
    if wrong:
        raise ProviderError(
            f"{known.address} was made in the {' and in the '.join(wrong)}",
            remedy="Put the environment back, destroy it there first, or make another environment for the new place.",
        )


def missing(error: AwsError) -> None:
    """Pass over an error that says that the object is gone.

    Errors: the error itself otherwise.
    """
    if not error.gone:
        raise error
