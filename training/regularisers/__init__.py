"""Regularisers: terms beside a policy's reward, each with a weight that follows a schedule."""
