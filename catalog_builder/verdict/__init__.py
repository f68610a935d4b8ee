"""Whether a catalogue is as good as it should be: checks of its sums, judged together."""
