"""Images pulled by tag and by digest from a registry, and built from a folder; names that are given away and given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.docker.lab import NOTHING, Lab, with_gone
from tests.providers.docker.registry import Registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as made:
        yield made


def ids(lab: Lab, name: str) -> list[str]:
    """What a name stands for on the engine."""
    return [image["Id"] for image in lab.api.images(name=name)]


@pytest.fixture
def forget(lab: Lab) -> Iterator[list[str]]:
    """Names of images to be removed afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        for image in lab.api.images(name=name):
            for known in (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())):
                if known.startswith(name):
                    with_gone(lambda known=known: lab.api.remove_image(known, force=True))


def test_pulled_by_tag(lab: Lab, registry: Registry, forget: list[str]) -> None:
    name = f"{registry.host}/{lab.name}/app"
    forget.append(name)
    registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
    lab.applied({"app": {"type": "docker.image", "name": f"{name}:1"}})
    assert lab.state().resources["resource.app"].fields["id"] in ids(lab, f"{name}:1")
    assert lab.state().resources["resource.app"].fields["digest"].startswith(f"{name}@sha256:")


def test_pulled_by_digest(lab: Lab, registry: Registry, forget: list[str]) -> None:
    name = f"{registry.host}/{lab.name}/app"
    forget.append(name)
    digest = registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
    lab.applied({"app": {"type": "docker.image", "name": f"{name}@{digest}"}})
    assert registry.pulls
    lab.apply(destroy=True)
    assert ids(lab, name), "a pulled image stays"


def test_what_is_there_is_not_pulled(lab: Lab) -> None:
    lab.applied({"app": {"type": "docker.image", "name": "busybox"}})
    assert lab.apply(destroy=True).succeeded  # type: ignore[union-attr] - there was something to do
    assert ids(lab, "busybox")


def test_a_pulled_one_goes_if_it_shall_not_be_kept(lab: Lab, registry: Registry) -> None:
    name = f"{registry.host}/{lab.name}/app:1"
    registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
    lab.applied({"app": {"type": "docker.image", "name": name, "keep_locally": False}})
    lab.apply(destroy=True)
    assert not ids(lab, name)


def test_a_pulled_name_that_was_given_away_is_given_back(lab: Lab, registry: Registry, forget: list[str]) -> None:
    name = f"{registry.host}/{lab.name}/app"
    forget.append(name)
    registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
    lab.applied({"app": {"type": "docker.image", "name": f"{name}:1"}})
    before = ids(lab, f"{name}:1")
    lab.api.tag("busybox", name, "1", force=True)
    node = lab.node("resource.app")
    assert (node.action, node.summary) == ("update", "its name was given to another image → given back")
    lab.mend()
    assert ids(lab, f"{name}:1") == before


def test_a_pulled_one_whose_image_is_gone_comes_from_the_registry_again(
    lab: Lab, registry: Registry, forget: list[str]
) -> None:
    name = f"{registry.host}/{lab.name}/app"
    forget.append(name)
    registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
    lab.applied({"app": {"type": "docker.image", "name": f"{name}:1"}})
    before = ids(lab, f"{name}:1")
    registry.put(f"{lab.name}/app", "1", f"a newer one of {lab.name}")
    lab.api.remove_image(before[0], force=True)
    lab.api.tag("busybox", name, "1", force=True)
    lab.mend()
    assert ids(lab, f"{name}:1") == before, "the digest that was applied, not what the tag stands for now"


def build(lab: Lab, text: str, **fields: object) -> dict[str, object]:
    folder = lab.folder / "img"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("FROM busybox\nCOPY text /text\n")
    (folder / "text").write_text(text)
    return {"type": "docker.image", "name": lab.called("app"), "build": {"context": "img"}, **fields}


def test_built_and_used_by_a_container_that_follows_it(lab: Lab) -> None:
    user = lab.container("user", image="${resource.app.id}", command=["sh", "-c", "cat /text; sleep 600"])
    lab.applied({"app": build(lab, "one\n"), "user": user})
    first = lab.id("user")
    lab.write({"app": build(lab, "two\n"), "user": user})
    assert {node.address: node.action for node in lab.plan().shown()} == {
        "resource.app": "update",
        "resource.user": "replace",
    }
    lab.mend()
    assert lab.id("user") != first
    assert lab.api.logs(lab.id("user")) == b"two\n"
    assert lab.owned()["images"] == ids(lab, lab.called("app")), "the older one is gone with its last container"
    lab.apply(destroy=True)
    assert lab.owned() == NOTHING


def test_a_touched_file_and_an_ignored_one_are_no_difference(lab: Lab) -> None:
    app = build(lab, "one\n")
    (lab.folder / "img" / ".dockerignore").write_text("notes\n# a comment\n")
    lab.applied({"app": app})
    (lab.folder / "img" / "text").touch()
    (lab.folder / "img" / "notes").write_text("not part of it")
    assert lab.plan().empty
    (lab.folder / "img" / "text").chmod(0o755)
    assert lab.node("resource.app").summary == "built anew"


def test_somebody_elses_image_keeps_its_name(lab: Lab) -> None:
    lab.api.tag("busybox", lab.called("app"), "latest")
    lab.write({"app": build(lab, "one\n")})
    outcome = lab.apply()
    assert outcome is not None
    assert "--adopt resource.app" in outcome.failed[0].remedy
    assert ids(lab, lab.called("app")) == ids(lab, "busybox")
    assert lab.apply(adopt=("resource.app",)).succeeded  # type: ignore[union-attr] - there is something to do
    assert ids(lab, lab.called("app")) != ids(lab, "busybox")
    assert lab.plan().empty


def test_a_mistake_in_the_blueprint_is_told_by_the_plan(lab: Lab, tmp_path: Path) -> None:
    from mlinfra.sdk.diagnostics import DiagnosticError

    app = build(lab, "one\n")
    for wrong, text in (
        ({"build": {"context": "elsewhere"}}, "elsewhere"),
        ({"build": {"context": "img", "dockerfile": "other"}}, "has no other"),
        ({"build": {"context": "img", "dockerfile": "../blueprint.yaml"}}, "outside"),
        ({"name": "NoImage!"}, "name of an image"),
    ):
        lab.write({"app": {**app, **wrong}})
        with pytest.raises(DiagnosticError, match=text):
            lab.plan()
