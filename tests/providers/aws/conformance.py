"""The conformance of a resource type: what every type must do, told once. A `Sample` says with which fields.

Samples are data, one file a service in `samples/`; `test_conformance` runs each through these functions. They go through the
engine, with the emulator behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.sdk.fields import policies
from mlinfra.sdk.resource import Known, Resource
from mlinfra_aws.resource import Tagged
from tests.emulator import faults
from tests.providers.aws.lab import Fields, Lab

SUBJECT = "resource.subject"
Outside = Callable[[Lab, str], Any]
"""Changes the live object with this id, as somebody at a console would."""


@dataclass(frozen=True)
class Sample:
    """A resource type with fields to try.

    ``fields`` should set every field of the type once. ``updates`` and ``replaces`` give, for each field, another value, with which
    the object is changed in place or made anew. ``outside`` changes a field of the live object by a call of one's own. ``resets``
    are fields that can leave the blueprint again, with what is then live (None: nothing). ``untried`` tells why a field is in none.
    ``needs`` are other raw resources, ``before`` is done first. ``name`` is the field with the object's name, to make several.
    ``noop_calls`` is what a plan of five unchanged ones may cost.
    """

    type: str
    fields: Fields
    updates: Fields = field(default_factory=dict)
    replaces: Fields = field(default_factory=dict)
    besides: Mapping[str, Fields] = field(default_factory=dict)
    """What else must change with a field of ``replaces``."""
    outside: Mapping[str, Outside] = field(default_factory=dict)
    resets: Fields = field(default_factory=dict)
    one_way: tuple[str, ...] = ()
    """Fields whose way back from ``updates`` is a replacement."""
    untried: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, Fields] = field(default_factory=dict)
    before: Callable[[Lab], Any] | None = None
    name: str = "name"
    noop_calls: int = 5
    discoverable: bool = True
    """Whether the tagging API knows it."""
    adoptable: bool = True
    """Whether another's object of the same name is in the way (keys have no names)."""
    creating: str = "Create*"
    """The operation that makes it."""
    numbered: Callable[[str, int], str] = "{}{}".format
    """How names of several are made of the one."""
    service: str = ""
    """The service that makes it, if the type's name does not begin with it."""
    remove: Outside | None = None
    """Deletes the live object by a call of one's own."""

    def __str__(self) -> str:
        return self.type


@dataclass
class Trial:
    """One sample in a laboratory."""

    lab: Lab
    sample: Sample

    @property
    def model(self) -> type[Resource]:
        return self.lab.catalog.resource_type(self.sample.type)

    def start(self) -> None:
        """Have it, unchanged."""
        if self.sample.before is not None:
            self.sample.before(self.lab)
        self.want({})
        self.lab.converge()

    def want(self, changed: Fields, *, without: str | None = None) -> None:
        """Write the blueprint with some fields changed."""
        fields = {"type": self.sample.type, **self.sample.fields, **changed}
        fields.pop(without or "", None)
        self.lab.write({**self.sample.needs, "subject": fields})

    @property
    def id(self) -> str:
        with self.lab.open() as workspace:
            return workspace.recovered().state.resources[SUBJECT].id

    def live(self) -> Fields | None:
        """The live fields as the type reads them."""
        with self.lab.open() as workspace:
            entry = workspace.recovered().state.resources[SUBJECT]
        found = self.model.read_many(self.lab.client(), [Known(SUBJECT, entry.id, entry.fields)])[SUBJECT]
        assert found is None or isinstance(found, dict)
        return found

    def heads(self, action: str) -> set[str]:
        """The fields that the plan changes, having checked that it does so by ``action``."""
        node = self.lab.node(SUBJECT)
        assert node.action == action, (node.action, node.changes)
        return {change.path.partition(".")[0] for change in node.changes}


def every_field_is_tried(trial: Trial) -> None:
    """No field of the type is forgotten by its sample."""
    sample = trial.sample
    settable = {name for name, policy in policies(trial.model).items() if not policy.computed}
    tried = {*sample.updates, *sample.replaces, *sample.untried}
    assert settable - tried == set()
    assert tried - settable == set()
    quiet = {name for name, policy in policies(trial.model).items() if policy.write_only or policy.owned}
    assert set(sample.updates) - quiet - set(sample.outside) - set(sample.untried) == set()


def create_update_delete(trial: Trial) -> None:
    """Create, plan is empty; each field changed in place, plan is empty; delete, delete again; nothing is left."""
    lab, sample = trial.lab, trial.sample
    trial.start()
    made = trial.id
    assert_owned(trial)
    for name, value in sample.updates.items():
        trial.want({name: value})
        assert trial.heads("update") == {name}
        lab.converge()
        assert trial.id == made
        if name in sample.one_way:
            trial.want({})
            assert trial.heads("replace") == {name}
            lab.converge()
            continue
        trial.want({})
        assert trial.heads("update") == {name}
        lab.converge()
    gone(trial, made)


def resets(trial: Trial) -> None:
    """A field that leaves the blueprint is reset."""
    trial.start()
    for name, after in trial.sample.resets.items():
        trial.want({}, without=name)
        assert trial.heads("update") == {name}
        trial.lab.converge()
        trial.want({})
        assert trial.heads("update") == {name}, f"{name} was not reset"
        node = trial.lab.node(SUBJECT)
        before = {change.path.partition(".")[0]: change.before for change in node.changes}
        assert (before[name] or None) == after
        trial.lab.converge()


def replacements(trial: Trial) -> None:
    """A change of a field that is fixed is a replacement, and the plan names the field."""
    for name, value in trial.sample.replaces.items():
        trial.start()
        trial.want({name: value, **trial.sample.besides.get(name, {})})
        node = trial.lab.node(SUBJECT)
        assert node.action == "replace", (name, node.changes)
        assert name in node.summary
        trial.lab.converge()
        trial.want({})
        trial.lab.converge()


def changes_outside_are_seen(trial: Trial) -> None:
    """Each field that somebody changed is seen, called drift, and put back."""
    trial.start()
    for name, change in trial.sample.outside.items():
        change(trial.lab, trial.id)
        assert trial.heads("update") == {name}
        reasons = {one.reason for one in trial.lab.node(SUBJECT).changes}
        assert reasons == {"drift"}
        trial.lab.converge()


def removal_outside_is_seen(trial: Trial) -> None:
    """An object that somebody deleted is made again."""
    if trial.sample.remove is None:
        return
    trial.start()
    trial.sample.remove(trial.lab, trial.id)
    node = trial.lab.node(SUBJECT)
    assert (node.action, node.summary) == ("create", "deleted outside mlinfra")
    trial.lab.converge()


def lost_replies(trial: Trial) -> None:
    """Each call works and is answered with 500 once: it all goes through, and nothing is made twice."""
    trial.lab.emulator.faults.add(faults.lost_reply())
    trial.start()
    made = [call for call in trial.lab.emulator.calls.of(_service(trial), "Create*") if call.status < 300]
    assert len({str(call.params) for call in made}) == len(made)
    gone(trial, trial.id)


def one_after_another(trial: Trial) -> None:
    """The first create is carried out, answered with an error that is not tried again, and found by the next apply."""
    if trial.sample.before is not None:
        trial.sample.before(trial.lab)
    trial.want({})
    skip = _creates(trial) if trial.sample.creating == "Create*" else 0
    told: dict[str, Any] = {"code": "RequestExpired", "message": "too late", "worked": True, "times": 1, "skip": skip}
    fault = trial.lab.emulator.faults.add(faults.Fault(_service(trial), trial.sample.creating, **told))
    outcome = trial.lab.apply()
    assert fault.hits == 1
    assert outcome is not None
    assert not outcome.succeeded
    trial.lab.emulator.calls.clear()
    trial.lab.converge()
    assert_owned(trial)
    gone(trial, trial.id)


def throttling(trial: Trial) -> None:
    """A fifth of all calls is told to slow down; nothing fails."""
    trial.lab.emulator.faults.add(faults.throttled(0.2))
    trial.start()
    gone(trial, trial.id)


def anothers(trial: Trial) -> None:
    """An object that is somebody else's is not touched, unless it is to be taken over."""
    if not trial.sample.adoptable:
        return
    trial.start()
    other = Trial(
        Lab(trial.lab.folder.parent / "other", trial.lab.emulator, trial.lab.session, blueprint="other"), trial.sample
    )
    if trial.sample.before is not None:
        trial.sample.before(other.lab)
    other.want({})
    outcome = other.lab.apply(targets=(SUBJECT,))
    assert outcome is not None
    subjects = [d for d in outcome.failed if d.address == SUBJECT]
    if issubclass(trial.model, Tagged):
        assert ["exists" in d.detail and "lab in test" in d.detail for d in subjects] == [True] or outcome.skipped
        assert_owned(trial)


def several(trial: Trial) -> None:
    """Five of them cost no more calls to look at than the sample says."""
    sample = trial.sample
    if sample.before is not None:
        sample.before(trial.lab)
    base = {"type": sample.type, **sample.fields}
    names = {f"subject{i}": sample.numbered(sample.fields[sample.name], i) for i in range(5)} if sample.name else {}
    if not names:
        names = {f"subject{i}": "" for i in range(5)}
    copies = {key: {**base, **({sample.name: name} if sample.name else {})} for key, name in names.items()}
    trial.lab.write({**sample.needs, **copies})
    trial.lab.converge()
    trial.lab.emulator.calls.clear()
    plan = trial.lab.plan()
    assert plan.empty
    mine = [call for call in trial.lab.emulator.calls.of() if call.service != "sts" and _counts(call, trial)]
    assert len(mine) <= sample.noop_calls, trial.lab.emulator.calls.counts()
    trial.lab.converge(destroy=True)
    assert trial.lab.tagged() == []


def assert_owned(trial: Trial) -> None:
    """The live object says whose it is."""
    if issubclass(trial.model, Tagged):
        live = trial.live()
        assert live is not None
        tags = trial.model.all_tags(trial.lab.client(), trial.id, live)
        assert tags.items() >= trial.lab.operation(SUBJECT).owner.items()
        if trial.sample.discoverable:
            assert live["arn"] in trial.lab.tagged()


def gone(trial: Trial, id: str) -> None:
    """Destroy; nothing is left; deleting what is gone succeeds."""
    lab = trial.lab
    live = trial.live()
    assert live is not None
    lab.converge(destroy=True)
    trial.model.delete(lab.client(), Known(SUBJECT, id, live), lab.operation(SUBJECT))
    assert trial.model.read_many(lab.client(), [Known(SUBJECT, id, live)])[SUBJECT] is None
    assert lab.tagged() == []


def _service(trial: Trial) -> str:
    if trial.sample.service:
        return trial.sample.service
    word = trial.sample.type.removeprefix("aws.").partition("_")[0]
    return {"cloudwatch": "logs"}.get(word, word) if word != "lambda" else word


def _creates(trial: Trial) -> int:
    """How many creates of the same service come before the subject's."""
    service = _service(trial)
    return sum(fields["type"].removeprefix("aws.").startswith(service) for fields in trial.sample.needs.values())


def _counts(call: Any, trial: Trial) -> bool:
    """Whether a call is made for the subjects, and not for what they need."""
    return not trial.sample.needs or call.service == _service(trial) or call.service == "resourcegroupstaggingapi"


CHECKS: tuple[Callable[[Trial], None], ...] = (
    every_field_is_tried,
    create_update_delete,
    resets,
    replacements,
    changes_outside_are_seen,
    removal_outside_is_seen,
    lost_replies,
    one_after_another,
    throttling,
    anothers,
    several,
)
