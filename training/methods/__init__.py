"""The training methods: one module each, on the shared core; :mod:`training.methods.registry` has them by name."""
