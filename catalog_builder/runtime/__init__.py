"""How work is carried out: tasks, receipts, stores, clusters.

The only room that knows Dask, besides the stages and the model's place on the workers.
"""
