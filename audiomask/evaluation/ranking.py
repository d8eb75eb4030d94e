"""How well scores tell two kinds apart."""

from __future__ import annotations

import math
from collections.abc import Sequence


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The probability that a positive has a higher score than a negative; ties count half.

    The area under the ROC curve, by the Mann-Whitney statistic. NaN without positives or negatives.
    """
    from scipy.stats import mannwhitneyu  # it takes half a second to import

    if not positive or not negative:
        return math.nan
    found = mannwhitneyu(positive, negative, method="asymptotic")
    return float(found.statistic) / (len(positive) * len(negative))
