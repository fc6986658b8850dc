"""The suites: tables of cases with what they have to reach, and what measures them."""
