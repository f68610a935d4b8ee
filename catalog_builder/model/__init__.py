"""The hybrid ensemble: network, likelihood, training, calibration, prediction. Knows no Dask."""
