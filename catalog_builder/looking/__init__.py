"""Looking at a run, a source, the machine; nothing is done."""
