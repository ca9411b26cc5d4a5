"""Numbers as people read them."""

from __future__ import annotations

import numpy as np

TINY = 0.0005  # what three decimals show as 0


def short_number(value: float) -> str:
    """Return three digits: .034, 1.25, 12,345; a dash where there is no value.

    Examples
    --------
    >>> [short_number(v) for v in (0.0341, -0.5, 1.2545, 99.996, 12345.6, float("nan"))]
    ['.034', '-.500', '1.25', '100', '12,346', '-']
    >>> short_number(2.4e-7), short_number(0.0)
    ('2.4e-07', '0')
    >>> short_number(-0.00023)
    '-.00023'
    """
    if not np.isfinite(value):
        return "-"
    size = abs(value)
    if size == 0:
        return "0"
    if size < TINY:
        return f"{value:.2g}".replace("0.", ".", 1)
    if size < 0.9995:
        return f"{value:.3f}".replace("0.", ".", 1)
    return f"{value:,.2f}" if size < 99.995 else f"{value:,.0f}"
