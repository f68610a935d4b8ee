"""How work is carried out: tasks, receipts, stores, clusters. The only room besides the stage
drivers that knows Dask.
"""
