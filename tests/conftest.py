"""Settings that every test shares; fixtures live beside the tests that use them."""

from hypothesis import HealthCheck, settings

# A machine shared with other work is slow in bursts: how long an example takes says nothing about the code.
settings.register_profile("stopwork", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stopwork")
