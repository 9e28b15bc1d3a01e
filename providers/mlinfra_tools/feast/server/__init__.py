"""The feature server: Feast's own HTTP application, and routes that apply and tell of its repository.

It runs in Feast's environment, as one script that `..bundle` makes of these modules. Must import nothing of mlinfra.
"""
