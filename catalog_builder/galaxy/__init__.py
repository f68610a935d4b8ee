"""Where stars are in the Galaxy: frames, distances from parallaxes, and the prior behind them."""
