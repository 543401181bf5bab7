"""What the rules test. Each check takes a ``Validation`` and yields its problems.

Map: ``records`` (of one read).
"""
