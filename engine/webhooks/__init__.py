"""What other systems are told: who wants to know of what, and how it gets there.

Whoever has something to tell offers it to `ports.Deliveries`; `delivery` does the rest. Nothing here is waited for by
live sessions.
"""
