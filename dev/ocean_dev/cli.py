"""The command line: `python -m ocean_dev`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ocean_dev import build as programs
from ocean_dev import demo as demonstration
from ocean_dev import existing, images, node
from ocean_dev.cluster import PodCluster
from ocean_dev.errors import DevError
from ocean_dev.progress import say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
image_app = typer.Typer(no_args_is_help=True)
app.add_typer(image_app, name="image", help="Build images and bring them into the cluster.")


class Size(StrEnum):
    """How much of a cluster."""

    CONTROL_PLANE = "control-plane"
    NODE = "node"


class Etcd(StrEnum):
    """What a power cut may cost."""

    DURABLE = "durable"
    UNSAFE_NO_FSYNC = "unsafe-no-fsync"


@app.callback()
def describe() -> None:
    """Run a real Kubernetes cluster on this machine, built from source.

    With KUBECONFIG or USE_CLUSTER=1 set, the cluster they name is used and none is built or started.
    """


@app.command()
def build(size: Annotated[Size, typer.Option(help="For which size of cluster.")] = Size.NODE) -> None:
    """Build the cluster's programs into the cache. Minutes the first time, nothing after that."""
    if existing.is_chosen():
        say("an existing cluster is chosen: nothing to build")
        return
    programs.programs(programs.NODE if size is Size.NODE else programs.CONTROL_PLANE)


@app.command()
def up(etcd: Annotated[Etcd, typer.Option(help="Durable, or faster.")] = Etcd.DURABLE) -> None:
    """Start the cluster with a node, or whatever of it does not run. Prints its kubeconfig."""
    if existing.is_chosen():
        cluster = existing.ExistingCluster()
        cluster.check()
        say(f"using the existing cluster of the context {cluster.context!r}")
        typer.echo(cluster.kubeconfig)
        return
    typer.echo(node.NodeCluster.up(durable=etcd is Etcd.DURABLE).kubeconfig)


@app.command()
def down() -> None:
    """End our cluster with a node and remove every trace of it, but not the cache."""
    node.down()


@app.command()
def demo() -> None:
    """Show the main job: install the chart, apply the examples, and see appointments arrive at Ocean."""
    demonstration.run()


@app.command()
def status() -> None:
    """Say which servers of our cluster with a node run.

    Exit status: 0 all run, 1 not all.
    """
    states = node.status()
    for state in states:
        typer.echo(f"{state.name:24} {'running, pid ' + str(state.pid) if state.pid else 'not running'}")
    if not all(state.pid for state in states):
        typer.echo("Start what is missing: python -m ocean_dev up", err=True)
        raise typer.Exit(1)


@app.command()
def kubeconfig() -> None:
    """Print the path of the administrator's kubeconfig."""
    typer.echo(_cluster().kubeconfig)


@image_app.command("base")
def image_base() -> None:
    """Make the Python image that ours start from. Prints its name."""
    typer.echo(images.base())


@image_app.command("build")
def image_build(
    file: Annotated[Path, typer.Option(help="The Dockerfile.")],
    tag: Annotated[str, typer.Option(help="Name and tag of the image.")],
) -> None:
    """Build an image with the repository as its context. Prints the path of its archive."""
    typer.echo(images.build(file, tag).archive)


@image_app.command("load")
def image_load(tag: str) -> None:
    """Make a built image available to pods."""
    _cluster().load_image(images.built(tag))


@image_app.command("build-all")
def image_build_all() -> None:
    """Build all images of this repository and make them available to pods."""
    cluster = _cluster()
    for recipe in images.ALL:
        cluster.load_image(images.build(recipe.file, recipe.tag))


def main() -> None:
    """Run the command line; what went wrong is one message, not a stack."""
    try:
        app()
    except DevError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _cluster() -> PodCluster:
    return existing.ExistingCluster() if existing.is_chosen() else node.NodeCluster.running()
