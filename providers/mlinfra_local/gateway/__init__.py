"""The gateway in front of the processes of a route: runs in an environment of its own, imports nothing of mlinfra.

One URL, several targets: weights, health, shadow copies, a sticky header. Its configuration is a file that it reads again.
"""
