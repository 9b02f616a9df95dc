"""
Every limit on what comes from outside, in one file; docs/security.md explains them to operators.

Generous to anyone who types, a school behind one address included; an end to programs that run wild.
"""

# Work on a stranger's text: see apps/core/bounded.py

# Pictures

# Bodies and connections

# People and addresses

# Rooms
