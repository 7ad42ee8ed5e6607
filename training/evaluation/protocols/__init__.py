"""Published benchmarks in their published layouts: one module each, a reader and the protocol that goes with it."""
