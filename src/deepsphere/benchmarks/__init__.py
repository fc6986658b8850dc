"""Benchmarks: what the library claims about its speed, measured again by anyone.

A *suite* measures *cases*; a case is a value in a table, with what it has to reach. Each case is
done by several *variants*: this library by default (`deepsphere`), its backends by name, and peers.
Variants take turns in one process, and one whose numbers are others than those of the first is
refused. `deepsphere benchmark` runs it; see the page on benchmarks in the documentation.
"""
