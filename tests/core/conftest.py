"""Property tests judge what the code does, not how busy the machine is: no time limit an example."""

from hypothesis import settings

settings.register_profile("tiller", deadline=None)
settings.load_profile("tiller")
