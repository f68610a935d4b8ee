"""What a run is about, as data: its labels, its inputs and what they are called everywhere.

Descriptions in ``schemas/`` declare it; the rest of the program loops over what is declared.
"""
