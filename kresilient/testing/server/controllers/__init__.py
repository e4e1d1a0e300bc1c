"""What kube-controller-manager and the kubelets do in a cluster, as far as objects end by it."""

from .work import CONTROLLERS, Controllers

__all__ = ["CONTROLLERS", "Controllers"]
