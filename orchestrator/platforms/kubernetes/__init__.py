"""Kubernetes with KubeRay: a RayJob a submission."""
