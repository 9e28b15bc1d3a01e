"""Whole blueprints: components, links, environments, overrides, cycles, and all mistakes together."""

from __future__ import annotations

import re

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.refs import has_token, ref
from tests.unit.blueprint.conftest import HEAD, Files, place
from tests.unit.blueprint.kinds import Endpoint

FRAUD = """
blueprint: fraud
variables:
  replicas: { type: integer, default: 4 }
environments:
  laptop: { provider: local, default: true, disposable: true }
  prod:
    provider: aws
    region: eu-${env.name}
    state: s3://acme
    protect: true
    variables: { replicas: 20 }
    overrides:
      storage:
        lake: { versioning: false, note: null }
        extra: {}
      monitor: { drift: null }
monitor:
  drift: { of: endpoint.fraud, reference: "${storage.lake.url}/reference", then: training.fraud }
endpoint:
  fraud:
    variants: { champion: { model: registry.models/fraud@champion } }
    replicas: ${var.replicas}
training:
  fraud: { run: python train.py, produces: registry.models/fraud@champion }
registry:
  models: { models: { fraud: { aliases: [champion, challenger] } } }
storage:
  lake: { versioning: true, note: hello }
"""


def test_a_whole_blueprint(files: Files) -> None:
    blueprint = files.load(FRAUD)
    assert blueprint.name == "fraud"
    assert blueprint.root == files.folder.resolve()
    assert blueprint.environment.name == "laptop"
    assert blueprint.environment.disposable
    assert set(blueprint.environments) == {"laptop", "prod"}
    endpoint = blueprint.components["endpoint.fraud"]
    assert isinstance(endpoint.model, Endpoint)
    assert endpoint.model.replicas == 4
    assert endpoint.edges == {
        "registry.models": "fraud.variants.champion.model",
        "training.fraud": "fraud.variants.champion.model",
    }
    assert blueprint.components["monitor.drift"].edges == {
        "storage.lake": "drift.reference",
        "endpoint.fraud": "drift.of",
        "training.fraud": "drift.then",
    }
    assert blueprint.components["monitor.drift"].fields["reference"] == ref("storage.lake", "url") + "/reference"
    assert blueprint.producers == {"registry.models/fraud@champion": "training.fraud"}
    order = list(blueprint.order)
    assert order.index("registry.models") < order.index("training.fraud") < order.index("endpoint.fraud")
    assert order[-1] == "monitor.drift"
    assert list(blueprint.nodes) == list(blueprint.components)
    position = blueprint.position(("endpoint", "fraud", "replicas"))
    assert position.text.strip() == "replicas: ${var.replicas}"


def test_an_environment_with_overrides(files: Files) -> None:
    blueprint = files.load(FRAUD, environment="prod")
    assert blueprint.environment.settings == {"region": "eu-prod"}
    assert blueprint.environment.protect
    assert blueprint.environment.state == "s3://acme"
    assert blueprint.variables == {"replicas": 20}
    assert blueprint.components["storage.lake"].fields == {"versioning": False}
    assert "storage.extra" in blueprint.components
    assert "monitor.drift" not in blueprint.components
    assert blueprint.position(("storage", "extra")).line == 16
    assert blueprint.position(("storage", "lake")).line == 29
    assert blueprint.position(("storage", "lake", "versioning")).line == 15
    assert blueprint.digest != files.load(environment="laptop").digest


def test_the_digest_follows_what_is_resolved_and_nothing_else(files: Files) -> None:
    digest = files.load(FRAUD).digest
    assert files.load("# a comment\n" + FRAUD).digest == digest
    assert files.load(FRAUD, variables=["replicas=5"]).digest != digest
    assert files.load(FRAUD.replace("hello", "hi")).digest != digest


def test_mistakes_in_overrides_stand_where_they_are_written(files: Files) -> None:
    found = files.wrong(
        """\
        blueprint: b
        environments:
          a:
            provider: local
            overrides:
              storage:
                lake: { colour: red, note: "${var.x}" }
              registry: { models: null }
              trainings: {}
              endpoint: []
        storage: { lake: { versioning: true } }
        registry: { models: {} }
        training: { t: { run: x, produces: registry.models/m@a } }
        """
    )
    assert [(d.code, *place(d)) for d in found] == [
        ("key-unknown", 7, 17),
        ("variable-unknown", 7, 39),
        ("kind-unknown", 9, 7),
        ("value-type", 10, 17),
        ("reference-unknown", 13, 36),
    ]
    assert 'overrides of the environment "a" remove it' in found[-1].detail


@pytest.mark.parametrize(
    ("environments", "options", "code", "said"),
    [
        ("", {}, "environment-missing", "provider: local"),
        ("environments: {}", {}, "environment-missing", "provider: local"),
        ("environments: [a]", {}, "value-type", "a list"),
        ("environments: { a: { provider: p }, b: { provider: p } }", {}, "environment-unchosen", "a, b"),
        ("environments: { stage: { provider: p } }", {"environment": "stag"}, "environment-unknown", '"stage"?'),
        (
            "environments: { a: { provider: p } }",
            {"environ": {"MLINFRA_ENV": "x"}},
            "environment-unknown",
            "MLINFRA_ENV",
        ),
        ("environments: { a: {} }", {}, "key-missing", "provider"),
        ("environments: { a: local }", {}, "value-type", "mapping"),
        ("environments: { a: { provider: p, disposible: true } }", {}, "key-unknown", '"disposable"?'),
        ("environments: { a: { provider: p, default: maybe } }", {}, "value-type", "true or false"),
        ("environments: { A: { provider: p } }", {}, "name-invalid", "small letters"),
        ("environments: { ../a: { provider: p } }", {}, "name-invalid", "small letters"),
        (
            "environments: { a: { provider: p, default: true }, b: { provider: p, default: true } }",
            {},
            "environment-default",
            '"b"',
        ),
        ("environments: { a: { provider: p, region: '${storage.lake.url}' } }", {}, "reference-unknown", "storage"),
    ],
)
def test_environments(files: Files, environments: str, options: dict[str, str], code: str, said: str) -> None:
    diagnostic = files.one(f"blueprint: b\n{environments}\n", **options)
    assert diagnostic.code == code
    assert said in diagnostic.detail + diagnostic.remedy


def test_which_environment_is_chosen(files: Files) -> None:
    files.write("blueprint: b\nenvironments: { a: { provider: p }, b: { provider: p, default: true } }\n")
    assert files.load().environment.name == "b"
    assert files.load(environ={"MLINFRA_ENV": "a"}).environment.name == "a"
    assert files.load(environ={"MLINFRA_ENV": "a"}, environment="b").environment.name == "b"


def test_settings_are_checked_with_the_provider_s_model(files: Files) -> None:
    from pydantic import BaseModel, ConfigDict

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        region: str
        retries: int = 1

    text = "blueprint: b\nenvironments:\n  a: { provider: p, regoin: x, retries: many }\n"
    found = files.wrong(text, environment_settings=lambda provider: Settings)
    assert [(d.code, *place(d)) for d in found] == [
        ("key-missing", 3, 3),
        ("key-unknown", 3, 21),
        ("value-type", 3, 41),
    ]
    assert '"region"?' in found[1].detail


@pytest.mark.parametrize(
    ("body", "code", "where", "said"),
    [
        ("storages: {}", "kind-unknown", (3, 1), 'Did you mean "storage"?'),
        ("registries: {}", "kind-unknown", (3, 1), 'Did you mean "registry"?'),
        ("enpoint: {}", "kind-unknown", (3, 1), 'Did you mean "endpoint"?'),
        ("policy: {}", "not-supported-yet", (3, 1), "Policies"),
        ("moved: {}", "not-supported-yet", (3, 1), "Moves"),
        ("use: {}", "not-supported-yet", (3, 1), "Modules"),
        ("storage: { a: { for_each: [] } }", "not-supported-yet", (3, 17), "Repetition"),
        ("resource: { a: { type: a.b, use: x } }", "not-supported-yet", (3, 29), "Modules"),
        ("storage: []", "value-type", (3, 10), "a list"),
        ("storage: { a: 3 }", "value-type", (3, 15), "the number 3"),
        ("storage: { A: {} }", "name-invalid", (3, 12), "'A'"),
        ("storage: { ../a: {} }", "name-invalid", (3, 12), "small letters"),
        ("resource: { a: {} }", "key-missing", (3, 13), "type"),
        ("resource: { a: { type: thing } }", "value-type", (3, 24), "PROVIDER.TYPE"),
        ("storage: { a: { versionning: true } }", "key-unknown", (3, 17), 'Did you mean "versioning"?'),
        ("storage: { a: { versioning: maybe } }", "value-type", (3, 29), 'true or false, and it is the text "maybe"'),
        ("storage: { a: { encryption: kmz } }", "value-type", (3, 29), 'Did you mean "kms"?'),
        ("storage: { a: { labels: { b: [] } } }", "value-type", (3, 30), "text, and it is a list"),
        ("training: { a: {} }", "key-missing", (3, 13), 'needs the key "run"'),
        ("training: { a: { run: x, cpu: -1 } }", "value-type", (3, 31), "greater than 0"),
        ("training: { a: { run: x, cpu: 100 } }", "value-type", (3, 31), "at most 64"),
        ("training: { a: { run: x, requirements: [nothing] } }", "value-invalid", (3, 40), "cannot be installed"),
        ("training: { a: { run: x, requirements: [1] } }", "value-type", (3, 41), '"requirements.0"'),
        ("endpoint: { a: { variants: { c: { modle: x, model: r.m/a@b } } } }", "key-unknown", (3, 35), '"model"?'),
        ("endpoint: { a: { variants: {}, replicas: [] } }", "value-type", (3, 42), "a whole number or text"),
        ("monitor: { a: { of: endpoint.x } }", "reference-unknown", (3, 21), '"endpoint.x"'),
    ],
)
def test_one_mistake(files: Files, body: str, code: str, where: tuple[int, int], said: str) -> None:
    found = [d for d in files.wrong(body=body + "\n") if d.code == code]
    assert len(found) == 1
    assert place(found[0]) == where
    assert said in found[0].detail + found[0].remedy


def test_links_are_checked(files: Files) -> None:
    found = files.wrong(
        body="""\
        registry: { models: { models: { fraud: { aliases: [champion] } } } }
        storage: { lake: {} }
        endpoint:
          a: { variants: { x: { model: registry.modles/fraud@champion } } }
          b: { variants: { x: { model: registry.models/frauds@champion } } }
          c: { variants: { x: { model: registry.models/fraud@champ } } }
          d: { variants: { x: { model: storage.lake/fraud@champion } } }
        """
    )
    assert [(d.code, d.position.line, d.address) for d in found if d.position] == [
        ("reference-unknown", 6, "endpoint.a"),
        ("model-unknown", 7, "endpoint.b"),
        ("model-unknown", 8, "endpoint.c"),
        ("reference-kind", 9, "endpoint.d"),
    ]
    for diagnostic, meant in zip(found, ("registry.models", "fraud", "champion"), strict=False):
        assert f'Did you mean "{meant}"?' in diagnostic.detail


def test_a_cycle_names_each_edge_once(files: Files) -> None:
    diagnostic = files.one(
        body="""\
        resource:
          free: { type: a.b, x: "${resource.one.x}" }
          one: { type: a.b, x: "${resource.two.x}" }
          two: { type: a.b, y: { z: "${storage.s.url}" } }
        storage:
          s: { note: "${resource.one.x}" }
        """
    )
    assert diagnostic.code == "cycle"
    assert (
        "resource.one → resource.two (by x), resource.two → storage.s (by y.z), storage.s → resource.one (by note)"
        in (diagnostic.detail)
    )
    assert place(diagnostic) == (5, 24)


def test_separate_cycles_and_self_references(files: Files) -> None:
    found = files.wrong(
        body="""\
        resource:
          a: { type: a.b, x: "${resource.b.x}" }
          b: { type: a.b, x: "${resource.a.x}" }
          c: { type: a.b, x: "${resource.c.x}" }
        """
    )
    assert [d.position.line for d in found if d.position] == [4, 6]
    assert "refers to itself" in found[1].detail


def test_all_mistakes_come_together_in_the_order_of_the_file(files: Files) -> None:
    found = files.wrong(
        """\
        blueprint: Bad Name
        variables: { x: { type: in } }
        environments: { a: { provider: local, default: 3 } }
        resource:
          r: { type: a.b, v: "${var.y}" }
        storages: {}
        storage:
          lake: { colour: red, versioning: 7 }
        endpoint:
          e: { variants: 3 }
        """
    )
    lines = [d.position.line for d in found if d.position]
    assert lines == sorted(lines)
    assert lines == [1, 2, 3, 5, 6, 8, 8, 10]


def test_a_component_without_fields_may_be_empty(files: Files) -> None:
    assert files.load(body="storage:\n  lake:\nregistry:\n").components["storage.lake"].fields == {}


def test_validated_again_with_outputs(files: Files) -> None:
    blueprint = files.load(body='storage: { a: {}, b: { versioning: "${storage.a.url}" } }\n')
    component = blueprint.components["storage.b"]
    assert has_token(component.fields)
    assert blueprint.validated(component, {"versioning": True}).versioning is True
    with pytest.raises(DiagnosticError) as caught:
        blueprint.validated(component, {"versioning": "file:///x"})
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.address == "storage.b"
    assert place(diagnostic) == (3, 36)


def test_a_missing_name(files: Files) -> None:
    assert "blueprint: fraud" in files.one(HEAD.split("\n", 1)[1]).remedy
    assert files.one(re.sub("fraud", "[a]", HEAD)).code == "value-type"
