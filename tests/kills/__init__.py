"""Kill it at any moment, start it again, compare: `python -m tests.kills`, or `make kills`.

*Torn*: a file that cannot be read after the kill. *Wrong*: another result than that of a run that nobody disturbed.
*Left over*: whatever such a run does not leave as well, after the next start.
"""
