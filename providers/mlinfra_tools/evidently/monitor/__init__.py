"""The monitor's program: it compares what an endpoint was asked with a reference, on a schedule, and tells what it saw.

It runs in Evidently's own environment, as one script made of these modules. Must import nothing of mlinfra. What stays
resident uses the standard library only; Evidently and pandas are imported by the short-lived process of one look
(``evaluation`` and what it imports: ``frames``, ``drift``, ``quality``, ``goodness``).
"""
