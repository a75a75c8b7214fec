"""Stores and CRMs that behave like the real ones over real HTTP.

Prevents the failure where a connector is proven against a mock of our own wishes: these hold
state, lag, refuse and lose answers as the recorded systems do, and know nothing of the engine.
"""
