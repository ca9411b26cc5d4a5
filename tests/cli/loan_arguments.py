"""Arguments of the command line for the loans of conftest.py.

Fits of FITTED and QUICK to 300 loans share their compiled programs.
"""

ROLES = ("--target", "repaid", "--cluster", "branch", "--sensitive", "sex")
FITTED = (
    *ROLES, "--sensitive", "bracket=age:30,45", "--drop", "loan", "--drop", "visits",
    "--categorical", "region",
)  # fmt: skip
QUICK = ("--epochs", "1", "--min-steps", "5", "--hidden", "8")
