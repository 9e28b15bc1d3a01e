"""An emulator of AWS on top of moto: for tests, and for `mlinfra sandbox aws`. The product never imports it.

Moto keeps the objects. This package makes it answer as AWS does where it does not, and gives tests what they need: faults by
operation, statuses that take a number of looks, a log of all calls, and a check of every request and answer against
botocore's own service models. Modules here import one another relatively: in a wheel this package is called
``mlinfra_emulator``.
"""
