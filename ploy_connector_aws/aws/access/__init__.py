"""Grants and revokes on order: who is in which group, and (where switched on) who is assigned directly.

Map: ``changes`` (one order from the look to the answer), ``membership`` and ``assignment`` (the two kinds of edge,
``link`` what they have in common), ``orders`` (how a write is sent, and when it is not), ``ways`` (what a change opened
or closed, and what is left), ``site`` (where it is looked up), ``clock``.

Pure: ``targets`` (what an order is about), ``plan`` (what has to be done), ``durations``.
"""
