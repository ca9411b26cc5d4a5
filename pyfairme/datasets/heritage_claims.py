"""Yearly summary of the Heritage Health Prize's claims: one row per member."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from pyfairme.data.columns import pick

UNKNOWN = "NA"
CLAIM_COLUMNS = (
    *("MemberID", "ProviderID", "Vendor", "PCP", "Year", "Specialty", "PlaceSvc", "PayDelay"),
    *("LengthOfStay", "DSFS", "PrimaryConditionGroup", "CharlsonIndex", "ProcedureGroup"),
)
# Family of counts -> column of the claims; in this order they follow the other features.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "specialty": "Specialty",
        "place": "PlaceSvc",
        "condition": "PrimaryConditionGroup",
        "procedure": "ProcedureGroup",
    }
)
DISTINCT = {
    "providers": "ProviderID",
    "vendors": "Vendor",
    "pcps": "PCP",
    "specialties": "Specialty",
    "places": "PlaceSvc",
    "condition_groups": "PrimaryConditionGroup",
    "procedure_groups": "ProcedureGroup",
}
# Days; of a range the middle, of an open one its beginning.
STAYS = {
    **{f"{day} day{'s' * (day > 1)}": float(day) for day in range(1, 7)},
    "1- 2 weeks": 11.0,
    "2- 4 weeks": 21.0,
    "4- 8 weeks": 42.0,
    "8-12 weeks": 70.0,
    "12-26 weeks": 133.0,
    "26+ weeks": 182.0,
}
# Months since the member's first claim of the year, the end of the range: 1 to 12.
MONTHS = {
    "0- 1 month": 1.0,
    **{f"{month}-{month + 1:2d} months": month + 1.0 for month in range(1, 12)},
}
# The upper end of a range; 5+ continues the steps of two.
CHARLSON = {"0": 0.0, "1-2": 2.0, "3-4": 4.0, "5+": 6.0}


class Yearly(NamedTuple):
    """What one year's claims say of each member, indexed by MemberID.

    Attributes
    ----------
    provider
        Primary provider, text.
    features
        The yearly features.
    """

    provider: pd.Series
    features: pd.DataFrame


def yearly_summary(claims: pd.DataFrame) -> Yearly:
    """Aggregate one year's claims by member.

    Features: claims (their number); the numbers of distinct providers, vendors, pcps, specialties,
    places, condition_groups and procedure_groups, without missing ones; pay_delay (mean, days);
    length_of_stay (longest, days; 0 where none is known); months_of_claims (latest month since the
    first claim, 1-12; DSFS); charlson_index (highest: 0, 2, 4, 6 for 0, 1-2, 3-4, 5+); and for each
    specialty, place, condition group and procedure group, and for "NA", the number of claims.

    The primary provider has the most of the member's claims; of several, the one with the most
    claims of all members, then the lowest id. A member whose claims name none has "NA".

    Parameters
    ----------
    claims
        Claims of one year with the columns of the raw file, one row per claim.

    Raises
    ------
    ValueError
        For values that the published file does not have.
    """
    claims = claims.reset_index(drop=True)
    codes, members = pd.factorize(claims["MemberID"], sort=True)
    index = pd.Index(members, name="MemberID")
    measured = pd.DataFrame(
        {
            "pay_delay": _delays(pick(claims, "PayDelay")),
            "length_of_stay": _decoded(pick(claims, "LengthOfStay"), STAYS),
            "months_of_claims": _decoded(pick(claims, "DSFS"), MONTHS),
            "charlson_index": _decoded(pick(claims, "CharlsonIndex"), CHARLSON),
        }
    ).groupby(codes)
    mean, highest = pd.DataFrame(measured.mean()), pd.DataFrame(measured.max())
    features = pd.concat(
        [
            _distinct(claims, codes),
            mean[["pay_delay"]],
            highest.drop(columns="pay_delay").fillna({"length_of_stay": 0.0}),
            *(_counts(pick(claims, column), family, codes) for family, column in FAMILIES.items()),
        ],
        axis=1,
    )
    provider = _primary(pick(claims, "ProviderID"), codes, len(members))
    return Yearly(
        pd.Series(provider, index=index, name="primary_provider"),
        features.set_axis(index).astype(np.float32),
    )


def family_column(family: str, level: str) -> str:
    """Return the name of a column of counts: "specialty: Surgery"."""
    return f"{family}: {level}"


def _distinct(claims: pd.DataFrame, codes: np.ndarray) -> pd.DataFrame:
    members = codes.max() + 1
    table = {"claims": np.bincount(codes, minlength=members)}
    for name, column in DISTINCT.items():
        values, levels = pd.factorize(claims[column], use_na_sentinel=True)
        there = values >= 0
        pairs = np.unique(codes[there].astype(np.int64) * max(len(levels), 1) + values[there])
        table[name] = np.bincount(pairs // max(len(levels), 1), minlength=members)
    return pd.DataFrame(table)


def _counts(series: pd.Series, family: str, codes: np.ndarray) -> pd.DataFrame:
    values = pd.Categorical(series)
    levels = [str(level) for level in values.categories]
    place = np.where(values.codes < 0, len(levels), values.codes).astype(np.int64)
    shape = (codes.max() + 1, len(levels) + 1)
    counts = np.bincount(codes * shape[1] + place, minlength=shape[0] * shape[1]).reshape(shape)
    names = [family_column(family, level) for level in [*levels, UNKNOWN]]
    return pd.DataFrame(counts, columns=names).loc[:, counts.any(axis=0)]


def _primary(series: pd.Series, codes: np.ndarray, members: int) -> np.ndarray:
    providers, ids = pd.factorize(series, sort=True)
    there = providers >= 0
    table = pd.DataFrame({"member": codes[there], "provider": providers[there]})
    table = table.value_counts(["member", "provider"], sort=False).reset_index(name="claims")
    size = np.bincount(providers[there], minlength=max(len(ids), 1))
    order = np.lexsort((table["provider"], -size[table["provider"]], -table["claims"]))
    first = table.iloc[order].drop_duplicates("member")
    result = np.full(members, UNKNOWN, dtype=object)
    result[first["member"]] = [f"{int(ids[i])}" for i in first["provider"]]
    return result


def _delays(series: pd.Series) -> np.ndarray:
    codes, levels = pd.factorize(series, use_na_sentinel=True)
    days = [float(str(level).removesuffix("+")) for level in levels]  # "162+": 162
    return np.array([*days, np.nan])[codes]


def _decoded(series: pd.Series, values: Mapping[str, float]) -> np.ndarray:
    codes, levels = pd.factorize(series, use_na_sentinel=True)
    unknown = [str(level) for level in levels if str(level) not in values]
    if unknown:
        raise ValueError(
            f"Expected the values {', '.join(values)} in column {series.name!r} of the claims, got "
            f"{', '.join(unknown[:3])}: pass Claims.csv of release 3 as published. [unknown-code]"
        )
    table = np.array([*(values[str(level)] for level in levels), np.nan])
    return table[codes]
