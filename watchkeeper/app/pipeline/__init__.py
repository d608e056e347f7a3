"""One sample's journey, step by step. Each step is a function of ``now``, safe to repeat."""
