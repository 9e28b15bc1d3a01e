"""The monitor's program: it compares what an endpoint was asked with a reference, on a schedule, and tells what it saw.

It runs in Evidently's own environment, as one script that `..bundle` makes of these modules. Must import nothing of mlinfra.
What stays resident uses the standard library only (croniter for cron schedules); Evidently and pandas are imported by the
short-lived process of one evaluation.
"""
