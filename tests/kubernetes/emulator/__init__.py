"""An emulated Kubernetes, just enough for the Dask operator, kubectl and the pods of a run.

One process holds the objects in memory and serves them as the API server does; keeps the promises
of Deployments and of owners; and is the one node, on which a pod is a process with a network
namespace, an address and a file system of its own. There is no admission, no rights, no network
policy, no image and no limit on memory or processor: what runs here may still be refused there.
"""
