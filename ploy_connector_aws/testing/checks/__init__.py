"""What the rules test. Each check takes a ``Validation`` and yields its problems.

Map: ``manifest`` (known without settings), ``settings`` (right and wrong ones), ``connection_test``,
``scopes`` and ``records`` (of the first read), ``repeats`` (whether other reads agree with it), ``cuts`` (reads that
end early), ``conduct`` (memory, output, counted calls, secrets), ``failures`` (reads of a source
that fails or changes), ``writes`` (grants and revokes).
"""
