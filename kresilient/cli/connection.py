"""Which cluster, and as whom: the arguments that `watch` and `demo` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .failures import CommandFailed

if TYPE_CHECKING:
    from ..connection import ConnectOptions

__all__ = ["add_cluster_arguments", "cluster_options", "names_a_cluster"]


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `cluster_options` reads."""
    group = parser.add_argument_group(
        "cluster", "without any of these: the pod's own cluster, else the kubeconfig's current context"
    )
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="a kubeconfig file")
    group.add_argument("--context", metavar="NAME", help="a context of the kubeconfig")
    group.add_argument("--server", metavar="URL", help="an API server, instead of a kubeconfig's")
    group.add_argument("--token", help="a bearer token (visible to other users of this machine)")
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="a file with the token, re-read as it rotates"
    )
    group.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="who may sign the server's certificate, as PEM"
    )
    group.add_argument("--insecure-skip-tls-verify", action="store_true", help="accept any certificate")


def names_a_cluster(arguments: argparse.Namespace) -> bool:
    """Whether the arguments say which cluster, instead of leaving it to the environment."""
    return any(getattr(arguments, name) is not None for name in ("kubeconfig", "context", "server"))


def cluster_options(arguments: argparse.Namespace) -> ConnectOptions:
    """The options for `kresilient.connect`."""
    if arguments.kubeconfig is not None and not arguments.kubeconfig.is_file():
        raise CommandFailed(f"there is no kubeconfig at {arguments.kubeconfig}")
    options: ConnectOptions = {
        "server": arguments.server,
        "kubeconfig": arguments.kubeconfig,
        "context": arguments.context,
        "token": arguments.token,
        "token_file": arguments.token_file,
        "ca_file": arguments.ca_file,
    }
    if arguments.insecure_skip_tls_verify:
        options["insecure_skip_tls_verify"] = True
    return options
